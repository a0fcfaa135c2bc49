#pragma once

#include "synthesis/coverage.hpp"

#include <popalign/comm/communicator.hpp>
#include <popalign/lm/backends/model_source.hpp>
#include <popalign/record/instruction.hpp>
#include <popalign/synthesis/generation_plan.hpp>
#include <popalign/synthesis/synthesis_options.hpp>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace popalign::synthesis {

struct NamedModel {
    std::unique_ptr<lm::ModelSource> source;
    lm::ModelIdentity identity;
};

/// What a run makes, before it makes anything. The same on all ranks.
struct SynthesisSetup {
    GenerationPlan plan;
    std::vector<Instruction> instructions;  ///< those whose prompts fit
    std::optional<Coverage> coverage;       ///< who needs what; there once they are known
    std::map<std::string, NamedModel> models;
    /// Hash of all that decides what the responses are: journals of another one must not be mixed
    /// in.
    std::string key;
};

/// Reads instructions, strategies and all of the models but weights; finds now what could not be
/// asked later. Collective.
SynthesisSetup prepare_synthesis(const comm::Communicator& comm, const SynthesisInputs& inputs);

/// Of one answer of the generation.
std::int64_t token_limit(const SynthesisOptions& options, const PlannedGeneration& generation);

/// `earlier` are the answers to the turns before the last, in order; `attempt` counts from 0, each
/// with draws of its own.
lm::Question make_question(const SynthesisInputs& inputs, const PlannedGeneration& generation,
                           const Instruction& instruction, const std::vector<std::string>& earlier,
                           std::uint32_t attempt = 0);

}  // namespace popalign::synthesis
