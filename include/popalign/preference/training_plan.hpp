#pragma once

#include <popalign/base/log.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/preference/options/train_inputs.hpp>

#include <string>

namespace popalign::preference {

/// Estimates a training run and returns JSON: memory by part, time by part and pairs per second, on
/// this machine (after measuring a pass, an update and a sum over ranks) or on the machine that
/// `train.machine` describes; for PPO, rounds, answers and updates, after measuring a round here.
/// Writes no files. Collective.
std::string plan_training(const comm::Communicator& comm, const TrainInputs& inputs,
                          const Logger& logger);

}  // namespace popalign::preference
