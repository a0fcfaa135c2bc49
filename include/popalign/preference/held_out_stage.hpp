#pragma once

#include <popalign/base/log.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/lm/backends/model_options.hpp>
#include <popalign/preference/options/train_options.hpp>

#include <filesystem>
#include <string>

namespace popalign::preference {

/// Inputs for measuring a model on the held-out pairs of a file.
struct HeldOutInputs {
    std::filesystem::path pair_file;
    lm::ModelOptions model;      ///< a policy or a reward model
    lm::ModelOptions reference;  ///< for the implicit reward; unused for a reward model
    std::string device = "auto";
    TrainOptions options;  ///< selection of pairs, length limits and beta
};

/// Returns reward accuracy and margin of a policy, or accuracy and calibration of a reward model,
/// overall and by strategy, as JSON (`to_json` of PreferenceEvaluation or RewardEvaluation). Adds
/// missing reference values to the pair file. Collective.
std::string evaluate_held_out_pairs(const comm::Communicator& comm, const HeldOutInputs& inputs,
                                    const Logger& logger);

}  // namespace popalign::preference
