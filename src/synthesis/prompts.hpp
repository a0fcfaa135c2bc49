#pragma once

#include <popalign/lm/text/chat_template.hpp>
#include <popalign/record/instruction.hpp>
#include <popalign/synthesis/generation_plan.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace popalign::synthesis {

/// Input of a model: the dialogue and the given beginning of its answer.
struct Prompt {
    std::vector<Message> messages;
    std::string assistant_prefix;
};

/// Renders the generation's turns behind the instruction's earlier turns. `answers` are the texts
/// of the turns before the last, in order. One of the generation's affixes is drawn by run seed,
/// instruction and draw: the same for both sides of a pair, and for all strategies with as many
/// affixes.
Prompt make_prompt(const PlannedGeneration& generation, const Instruction& instruction,
                   const std::vector<std::string>& answers, std::uint64_t seed);

}  // namespace popalign::synthesis
