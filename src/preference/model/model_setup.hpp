#pragma once

#include <popalign/comm/communicator.hpp>
#include <popalign/lm/backends/model_options.hpp>
#include <popalign/lm/checkpoint/language_model.hpp>

#include <string>

namespace popalign {

/// A model's front end and hashes, without weights.
struct ModelCard {
    ModelFrontEnd front_end;
    ModelIdentity identity;
};

/// One rank hashes the weight files. Collective.
ModelCard open_model(const Communicator& comm, const ModelOptions& options);

/// Collective.
CausalLm load_weights(const Communicator& comm, const ModelOptions& options,
                      const std::string& device);

/// As a reward model, with a new head drawn from `seed` if it has none. Collective.
CausalLm load_reward_weights(const Communicator& comm, const ModelOptions& options,
                             const std::string& device, std::uint64_t seed = 0);

/// Throws UsageError if the two encode texts differently.
void require_same_tokenizer(const ModelIdentity& policy, const ModelIdentity& reference);

}  // namespace popalign
