#pragma once

#include <popalign/base/log.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/preference/options/train_inputs.hpp>

#include <string>

namespace popalign::preference {

/// What a training run would take, as JSON: memory by part, time by part and pairs a second, on
/// this machine (after measuring a pass, an update and a sum over ranks) or on the one that
/// `train.machine` describes; of PPO rounds, answers and updates, after measuring a round here.
/// Nothing is written. Collective.
std::string plan_training(const comm::Communicator& comm, const TrainInputs& inputs,
                          const Logger& logger);

}  // namespace popalign::preference
