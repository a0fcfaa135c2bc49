#pragma once

#include <popalign/record/response.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace popalign {

struct ParsedText {
    std::string text, thought;
    bool parsed = true;
};

/// White space around the answer goes. `thought_response` keeps what follows the first
/// "Response:" label as text and what stands between "Thought:" and it as thought; without the
/// label the whole answer is the text and `parsed` is false.
ParsedText parse_answer(std::string_view answer, const std::string& parse);

/// PairFlag bits of a pair of responses.
std::uint32_t pair_flags(const Response& chosen, const Response& rejected);

}  // namespace popalign
