#pragma once

#include "synthesis/coverage.hpp"

#include <popalign/base/fingerprint.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/lm/backends/model_backend.hpp>
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
    std::unique_ptr<lm::ModelBackend> source;
    lm::ModelIdentity identity;
};

/// What a run makes, before it makes anything. The same on all ranks.
struct SynthesisSetup {
    GenerationPlan plan;
    std::vector<Instruction> instructions;  ///< those whose prompts fit
    std::optional<Coverage> coverage;       ///< who needs what; there once they are known
    std::map<std::string, NamedModel> models;
    Fingerprint answers;  ///< what decides them
    std::string key;      ///< its hash, which names the journals' folder
};

/// Reads instructions, strategies and all of the models but weights; finds now what could not be
/// asked later. Collective.
SynthesisSetup prepare_synthesis(const comm::Communicator& comm, const SynthesisInputs& inputs);

}  // namespace popalign::synthesis
