#pragma once

#include <popalign/base/deadline.hpp>
#include <popalign/base/error.hpp>
#include <popalign/base/log.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/preference/options/train_inputs.hpp>

namespace popalign::preference {

/// Runs `run_training` for all objectives on pairs. With the goal `reference`, it only writes the
/// reference's values of the training and held-out pairs to the pair file. Collective.
ExitStatus run_pair_training(const comm::Communicator& comm, const TrainInputs& inputs,
                             const Deadline& deadline, const Logger& logger);

}  // namespace popalign::preference
