#include "synthesis/question.hpp"

#include "synthesis/prompts.hpp"

#include <fmt/format.h>

#include <utility>

namespace popalign::synthesis {

std::int64_t token_limit(const SynthesisOptions& options, const PlannedGeneration& generation) {
    return options.max_new_tokens +
           (generation.turns.back().parse == "plain" ? 0 : options.max_thought_tokens);
}

lm::Question make_question(const SynthesisInputs& inputs, const PlannedGeneration& generation,
                           const Instruction& instruction, const std::vector<std::string>& earlier,
                           std::uint32_t attempt) {
    Prompt prompt = make_prompt(generation, instruction, earlier, inputs.run.seed);
    std::string purpose = generation.purpose;
    if (attempt > 0)
        purpose += fmt::format("attempt {}\n", attempt);
    return {std::move(prompt.messages),
            std::move(prompt.assistant_prefix),
            token_limit(inputs.synthesis, generation),
            RandomStream(inputs.run.seed, instruction.id, purpose),
            instruction.id,
            as_transcript(instruction),
            generation.name};
}

}  // namespace popalign::synthesis
