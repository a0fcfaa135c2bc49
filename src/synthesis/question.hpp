#pragma once

#include <popalign/lm/backends/model_backend.hpp>
#include <popalign/record/instruction.hpp>
#include <popalign/synthesis/generation_plan.hpp>
#include <popalign/synthesis/synthesis_options.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace popalign::synthesis {

/// Returns the most tokens that one answer of the generation may have.
std::int64_t token_limit(const SynthesisOptions& options, const PlannedGeneration& generation);

/// Makes the question to a generation's model. `earlier` are the answers to the turns before the
/// last, in order. `attempt` counts from 0; each attempt has its own random draws.
lm::Question make_question(const SynthesisInputs& inputs, const PlannedGeneration& generation,
                           const Instruction& instruction, const std::vector<std::string>& earlier,
                           std::uint32_t attempt = 0);

}  // namespace popalign::synthesis
