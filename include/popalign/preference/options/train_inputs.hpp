#pragma once

#include <popalign/lm/backends/model_options.hpp>
#include <popalign/preference/options/train_options.hpp>

#include <cstdint>
#include <filesystem>
#include <string>

namespace popalign::preference {

enum class TrainGoal {
    model,     ///< an aligned model
    reference  ///< only reference log-probabilities, written to the pair file
};

/// Inputs of a training run.
struct TrainInputs {
    std::filesystem::path pair_file;
    std::filesystem::path directory;        ///< the run's folder; train/ and model/ are made in it
    lm::ModelOptions model, reference;      ///< empty reference path: `model` before training
    lm::ModelOptions reward_model, critic;  ///< for ppo; empty critic path: the reward model
    std::string device = "auto";
    std::uint64_t seed = 0;
    TrainOptions options;
    std::string command;  ///< command line, for provenance
    TrainGoal goal = TrainGoal::model;
};

}  // namespace popalign::preference
