#pragma once

#include <popalign/lm/chat_template.hpp>
#include <popalign/record/instruction.hpp>
#include <popalign/synthesis/generation_plan.hpp>

#include <string>
#include <vector>

namespace popalign {

/// What the model is shown: the dialogue and the given beginning of its answer.
struct Prompt {
    std::vector<Message> messages;
    std::string assistant_prefix;
};

/// Behind the turns before the instruction. `answers` are the texts of the turns before the last,
/// in order.
Prompt make_prompt(const PlannedGeneration& generation, const Instruction& instruction,
                   const std::vector<std::string>& answers);

}  // namespace popalign
