#include "synthesis/prompts.hpp"

namespace popalign {
namespace {

std::string fill(const std::string& text, std::string_view instruction) {
    constexpr std::string_view mark = "{instruction}";
    std::string result;
    std::size_t at = 0;
    for (std::size_t found; (found = text.find(mark, at)) != std::string::npos;) {
        result.append(text, at, found - at).append(instruction);
        at = found + mark.size();
    }
    return result.append(text, at);
}

}  // namespace

Prompt make_prompt(const PlannedGeneration& generation, const Instruction& instruction,
                   const std::vector<std::string>& answers) {
    Prompt prompt{instruction.context, ""};
    for (std::size_t i = 0; i < generation.turns.size(); ++i) {
        const Turn& turn = generation.turns[i];
        prompt.messages.push_back({Role::user, fill(turn.user, instruction.text)});
        if (i + 1 < generation.turns.size())
            prompt.messages.push_back({Role::assistant, turn.assistant_prefix + answers.at(i)});
    }
    prompt.assistant_prefix = generation.turns.back().assistant_prefix;
    return prompt;
}

}  // namespace popalign
