#pragma once

#include <popalign/base/deadline.hpp>
#include <popalign/base/error.hpp>
#include <popalign/base/log.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/preference/options/train_inputs.hpp>

#include <string>

namespace popalign::preference {

/// Runs `run_training` for the objective ppo, on the training instructions of the pair file.
/// Collective.
ExitStatus run_ppo(const comm::Communicator& comm, const TrainInputs& inputs,
                   const Deadline& deadline, const Logger& logger);

/// Runs `plan_training` for the objective ppo; measures a round on these ranks. Collective.
std::string plan_ppo(const comm::Communicator& comm, const TrainInputs& inputs,
                     const Logger& logger);

}  // namespace popalign::preference
