#pragma once

#include <popalign/lm/chat_template.hpp>
#include <popalign/synthesis/generation_plan.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace popalign {

/// What the model is shown: the dialogue and the given beginning of its answer.
struct Prompt {
    std::vector<Message> messages;
    std::string assistant_prefix;
};

/// `answers` are the texts of the turns before the last, in order.
Prompt make_prompt(const PlannedGeneration& generation, std::string_view instruction,
                   const std::vector<std::string>& answers);

}  // namespace popalign
