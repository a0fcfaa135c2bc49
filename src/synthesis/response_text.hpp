#pragma once

#include <string>
#include <string_view>

namespace popalign::synthesis {

struct ParsedText {
    std::string text, thought;
    bool parsed = true;
};

/// White space around the answer goes. `thought_response` keeps what follows the first
/// "Response:" label as text and what stands between "Thought:" and it as thought; without the
/// label the whole answer is the text and `parsed` is false.
ParsedText parse_answer(std::string_view answer, const std::string& parse);

}  // namespace popalign::synthesis
