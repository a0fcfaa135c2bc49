#pragma once

#include <popalign/base/fingerprint.hpp>
#include <popalign/base/log.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>
#include <popalign/lm/checkpoint/model_identity.hpp>
#include <popalign/lm/transformer/trainable_lm.hpp>
#include <popalign/preference/options/train_inputs.hpp>

#include <set>
#include <string>

namespace popalign::preference {

/// What of a run's options and model determines its result; `besides` are further keys of `train`
/// that do not.
Fingerprint options_fingerprint(const TrainInputs& inputs, const lm::ModelIdentity& model,
                                const std::set<std::string>& besides = {});

/// Whether this very run has been finished before; says so. Throws AgreedError if another run has
/// been finished here. Collective.
bool is_finished(const comm::Communicator& comm, const TrainInputs& inputs,
                 const Fingerprint& fingerprint, const Logger& logger);

/// Writes the model and the mark of its being finished. Collective.
void save_trained_model(const comm::Communicator& comm, const TrainInputs& inputs,
                        const lm::TrainableLm& model, const lm::ModelFrontEnd& front_end,
                        const Fingerprint& fingerprint);

}  // namespace popalign::preference
