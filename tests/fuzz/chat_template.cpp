#include "fuzz/fuzz_one.hpp"

#include <popalign/base/error.hpp>
#include <popalign/lm/text/chat_template.hpp>

#include <string>

namespace popalign::fuzz {

/// Reads the template and renders with it.
void fuzz_one(std::span<const std::uint8_t> input) {
    try {
        const auto chat =
            lm::ChatTemplate::from_jinja(std::string(input.begin(), input.end()), "input");
        const Message message{Role::user, "Hello"};
        chat.render_prompt(std::span(&message, 1));
    } catch (const Error&) {
    }
}

}  // namespace popalign::fuzz
