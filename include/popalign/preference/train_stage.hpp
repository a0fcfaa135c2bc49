#pragma once

#include <popalign/base/deadline.hpp>
#include <popalign/base/error.hpp>
#include <popalign/base/log.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/preference/options/train_inputs.hpp>

namespace popalign::preference {

/// Aligns a model on the pairs of a file and writes it as an HF directory. Continues an
/// earlier, unfinished call; if that one finished, logs so and returns `done`. Collective.
ExitStatus run_training(const comm::Communicator& comm, const TrainInputs& inputs,
                        const Deadline& deadline, const Logger& logger);

}  // namespace popalign::preference
