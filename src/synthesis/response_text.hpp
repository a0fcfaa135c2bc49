#pragma once

#include <string>
#include <string_view>

namespace popalign::synthesis {

struct ParsedText {
    std::string text, thought;
    bool parsed = true;
};

/// Parses an answer; removes white space around it. With `thought_response`, the text is the part
/// after the first "Response:" label, and the thought the part between "Thought:" and it. Without
/// the label the whole answer is the text, and `parsed` is false.
ParsedText parse_answer(std::string_view answer, const std::string& parse);

}  // namespace popalign::synthesis
