#pragma once

#include <popalign/lm/backends/model_options.hpp>
#include <popalign/preference/options/train_options.hpp>

#include <cstdint>
#include <filesystem>
#include <string>

namespace popalign::preference {

enum class TrainGoal {
    model,     ///< an aligned model
    reference  ///< only the reference log-probabilities of the pairs, into the pair file
};

/// All that a training run works on.
struct TrainInputs {
    std::filesystem::path pair_file;
    std::filesystem::path directory;        ///< the run's: gets train/ and model/
    lm::ModelOptions model, reference;      ///< an empty reference path: `model` as it starts
    lm::ModelOptions reward_model, critic;  ///< of ppo; an empty critic path: the reward model
    std::string device = "auto";
    std::uint64_t seed = 0;
    TrainOptions options;
    std::string command;  ///< for provenance
    TrainGoal goal = TrainGoal::model;
};

}  // namespace popalign::preference
