#pragma once

#include <popalign/base/deadline.hpp>
#include <popalign/base/error.hpp>
#include <popalign/base/log.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/lm/model_options.hpp>
#include <popalign/preference/train_options.hpp>

#include <cstdint>
#include <filesystem>
#include <string>

namespace popalign {

enum class TrainGoal {
    model,     ///< an aligned model
    reference  ///< only the reference log-probabilities of the pairs, into the pair file
};

struct TrainInputs {
    std::filesystem::path pair_file;
    std::filesystem::path directory;    ///< the run's: gets train/ and model/
    ModelOptions model, reference;      ///< an empty reference path: `model` as it starts
    ModelOptions reward_model, critic;  ///< of ppo; an empty critic path: the reward model
    std::string device = "auto";
    std::uint64_t seed = 0;
    TrainOptions options;
    std::string command;  ///< for provenance
    TrainGoal goal = TrainGoal::model;
};

/// Aligns a model on the pairs of a file and writes it as an HF directory. Continues what an
/// earlier call began; says so and returns `done` if that one finished. Collective.
ExitStatus run_training(const Communicator& comm, const TrainInputs& inputs,
                        const Deadline& deadline, const Logger& logger);

}  // namespace popalign
