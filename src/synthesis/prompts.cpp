#include "synthesis/prompts.hpp"

#include <popalign/base/random.hpp>

#include <fmt/format.h>

#include <array>
#include <string_view>
#include <utility>

namespace popalign::synthesis {
namespace {

/// Texts that replace the marks of a template, for one instruction.
using Marks = std::array<std::pair<std::string_view, std::string_view>, 3>;

/// Replaces in one pass, because a replacement may contain marks itself.
std::string fill(std::string_view text, const Marks& marks) {
    std::string result;
    while (!text.empty()) {
        const auto* found = marks.begin();
        while (found != marks.end() && !text.starts_with(found->first))
            ++found;
        result += found == marks.end() ? text.substr(0, 1) : found->second;
        text.remove_prefix(found == marks.end() ? 1 : found->first.size());
    }
    return result;
}

Affix draw_affix(const PlannedGeneration& generation, const Instruction& instruction,
                 std::uint64_t seed) {
    if (generation.affixes.empty())
        return {};
    const RandomStream stream(seed, instruction.id, fmt::format("affix {}", generation.draw));
    return generation.affixes[stream.bits(0) % generation.affixes.size()];
}

}  // namespace

Prompt make_prompt(const PlannedGeneration& generation, const Instruction& instruction,
                   const std::vector<std::string>& answers, std::uint64_t seed) {
    const Affix affix = draw_affix(generation, instruction, seed);
    const Marks marks{{{"{instruction}", instruction.text},
                       {"{affix}", affix.chosen},
                       {"{opposite_affix}", affix.rejected}}};
    Prompt prompt{instruction.context, ""};
    for (Message& message : prompt.messages)
        if (message.role == Role::assistant)
            message.content =
                fill(generation.turns.front().earlier_prefix, marks) + message.content;
    for (std::size_t i = 0; i < generation.turns.size(); ++i) {
        const Turn& turn = generation.turns[i];
        prompt.messages.push_back({Role::user, fill(turn.user, marks)});
        prompt.assistant_prefix = fill(turn.assistant_prefix, marks);
        if (i + 1 < generation.turns.size())
            prompt.messages.push_back({Role::assistant, prompt.assistant_prefix + answers.at(i)});
    }
    return prompt;
}

}  // namespace popalign::synthesis
