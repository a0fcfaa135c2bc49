#pragma once

#include <popalign/base/log.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/lm/backends/model_options.hpp>
#include <popalign/preference/options/train_options.hpp>

#include <filesystem>
#include <string>

namespace popalign::preference {

/// A model that is measured on the held-out pairs of a file.
struct HeldOutInputs {
    std::filesystem::path pair_file;
    lm::ModelOptions model;      ///< a policy, or a reward model
    lm::ModelOptions reference;  ///< of the implicit reward; not used for a reward model
    std::string device = "auto";
    TrainOptions options;  ///< which pairs, their limits and beta
};

/// Reward accuracy and margin of a policy, or accuracy and calibration of a reward model, overall
/// and by strategy: the JSON that `to_json` of PreferenceEvaluation and of RewardEvaluation gives.
/// Reference values that the pair file lacks are added to it. Collective.
std::string evaluate_held_out_pairs(const comm::Communicator& comm, const HeldOutInputs& inputs,
                                    const Logger& logger);

}  // namespace popalign::preference
