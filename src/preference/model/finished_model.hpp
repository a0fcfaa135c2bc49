#pragma once

#include <popalign/base/fingerprint.hpp>
#include <popalign/base/log.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>
#include <popalign/lm/checkpoint/model_identity.hpp>
#include <popalign/preference/options/train_inputs.hpp>

namespace popalign::lm {
class TrainableLm;
}

namespace popalign::preference {

/// Returns the part of a run's options and model that determines its result. Keys of `train.ppo`
/// are included only if PPO is the objective.
Fingerprint options_fingerprint(const TrainInputs& inputs, const lm::ModelIdentity& model);

/// Returns whether this run finished before, and logs it. Throws AgreedError if another run
/// finished here. Collective.
bool is_finished(const comm::Communicator& comm, const TrainInputs& inputs,
                 const Fingerprint& fingerprint, const Logger& logger);

/// Writes the model and marks the run as finished. Collective.
void save_trained_model(const comm::Communicator& comm, const TrainInputs& inputs,
                        const lm::TrainableLm& model, const lm::ModelFrontEnd& front_end,
                        const Fingerprint& fingerprint);

}  // namespace popalign::preference
