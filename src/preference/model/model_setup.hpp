#pragma once

#include <popalign/comm/communicator.hpp>
#include <popalign/lm/backends/model_options.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>
#include <popalign/lm/checkpoint/model_identity.hpp>
#include <popalign/lm/transformer/trainable_lm.hpp>
#include <popalign/preference/options/train_options.hpp>

#include <cstdint>
#include <string>

namespace popalign::preference {

/// A model of the run before its weights are loaded.
struct ModelCard {
    lm::ModelOptions options;
    lm::ModelIdentity identity;
    bool is_reward_model = false;
};

/// The trained or measured model, with the front end that encodes texts for all models.
struct PolicyCard : ModelCard {
    lm::ModelFrontEnd front_end;
};

/// Reads the front end on every rank and hashes the weight files on one. Collective.
PolicyCard open_policy(const comm::Communicator& comm, const lm::ModelOptions& options);

/// Opens a reference; the policy itself if `options` have no path. Throws AgreedError if its
/// tokenizer differs from the policy's. Collective.
ModelCard open_reference(const comm::Communicator& comm, const lm::ModelOptions& options,
                         const ModelCard& policy);

/// Opens a reward model, also to initialise a critic. Throws AgreedError if it is no reward model
/// or its tokenizer differs from the policy's. Collective.
ModelCard open_scorer(const comm::Communicator& comm, const lm::ModelOptions& options,
                      const ModelCard& policy);

/// Collective.
lm::TrainableLm load_weights(const comm::Communicator& comm, const ModelCard& card,
                             const std::string& device);

/// Loads a reward model, with a new head drawn from `seed` if it has none. Collective.
lm::TrainableLm load_reward_weights(const comm::Communicator& comm, const ModelCard& card,
                                    const std::string& device, std::uint64_t seed = 0);

/// Adds LoRA adapters, trained instead of the weights, if the options ask for them.
void add_adapters(lm::TrainableLm& model, const TrainOptions& options, std::uint64_t seed);

}  // namespace popalign::preference
