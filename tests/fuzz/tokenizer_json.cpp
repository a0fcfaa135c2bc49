#include "fuzz/fuzz_one.hpp"

#include <popalign/base/error.hpp>
#include <popalign/lm/text/tokenizer.hpp>

#include <string>

namespace popalign::fuzz {

/// Reads the tokenizer and uses it.
void fuzz_one(std::span<const std::uint8_t> input) {
    try {
        const auto tokenizer =
            lm::Tokenizer::from_json_text(std::string(input.begin(), input.end()), "input");
        tokenizer.decode(tokenizer.encode("abc <s><t> e\u0301 12\n"));
    } catch (const Error&) {
    }
}

}  // namespace popalign::fuzz
