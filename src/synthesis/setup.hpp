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

/// Checked definition of a run's work, the same on all ranks.
struct SynthesisSetup {
    GenerationPlan plan;
    std::vector<Instruction> instructions;  ///< instructions whose prompts fit
    std::optional<Coverage> coverage;       ///< set once `instructions` is final
    std::map<std::string, NamedModel> models;
    Fingerprint answers;  ///< everything that decides the answers
    std::string key;      ///< hash of `answers`, names the journals' folder
};

/// Reads instructions, strategies and models except their weights. Finds errors now that would
/// otherwise stop a generation later. Collective.
SynthesisSetup prepare_synthesis(const comm::Communicator& comm, const SynthesisInputs& inputs);

}  // namespace popalign::synthesis
