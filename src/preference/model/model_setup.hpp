#pragma once

#include <popalign/comm/communicator.hpp>
#include <popalign/lm/backends/model_options.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>
#include <popalign/lm/checkpoint/model_identity.hpp>
#include <popalign/lm/transformer/trainable_lm.hpp>

#include <string>

namespace popalign::preference {

/// A model's front end and hashes, without weights.
struct ModelCard {
    lm::ModelFrontEnd front_end;
    lm::ModelIdentity identity;
};

/// One rank hashes the weight files. Collective.
ModelCard open_model(const comm::Communicator& comm, const lm::ModelOptions& options);

/// Collective.
lm::TrainableLm load_weights(const comm::Communicator& comm, const lm::ModelOptions& options,
                             const std::string& device);

/// As a reward model, with a new head drawn from `seed` if it has none. Collective.
lm::TrainableLm load_reward_weights(const comm::Communicator& comm, const lm::ModelOptions& options,
                                    const std::string& device, std::uint64_t seed = 0);

/// Throws UsageError if the two encode texts differently.
void require_same_tokenizer(const lm::ModelIdentity& policy, const lm::ModelIdentity& reference);

}  // namespace popalign::preference
