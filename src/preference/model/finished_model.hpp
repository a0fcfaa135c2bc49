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

/// What of a run's options and model determines its result; keys of `train.ppo` only where PPO is
/// the objective.
Fingerprint options_fingerprint(const TrainInputs& inputs, const lm::ModelIdentity& model);

/// Whether this very run has been finished before; says so. Throws AgreedError if another run has
/// been finished here. Collective.
bool is_finished(const comm::Communicator& comm, const TrainInputs& inputs,
                 const Fingerprint& fingerprint, const Logger& logger);

/// Writes the model and the mark of its being finished. Collective.
void save_trained_model(const comm::Communicator& comm, const TrainInputs& inputs,
                        const lm::TrainableLm& model, const lm::ModelFrontEnd& front_end,
                        const Fingerprint& fingerprint);

}  // namespace popalign::preference
