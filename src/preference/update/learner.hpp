#pragma once

#include "preference/update/optimizer.hpp"
#include "preference/update/trained_parameters.hpp"

#include <popalign/comm/communicator.hpp>
#include <popalign/lm/transformer/trainable_lm.hpp>

#include <cstddef>
#include <functional>

namespace popalign::preference {

/// A model that learns from gradients of its own losses.
class Learner {
  public:
    struct Options {
        double max_grad_norm = 1.0, weight_decay = 0.0;
        ShardingOptions sharding = {};
        lm::PassOptions::Activations activations = lm::PassOptions::Activations::keep;
    };

    /// Collective.
    Learner(const comm::Communicator& comm, lm::TrainableLm& model, const Options& options);

    /// One update: `pass(i, options)` does this rank's i-th of `passes` forward and backward
    /// passes. Returns the norm of the gradient before clipping; throws AgreedError if a pass
    /// failed on any rank or the gradient is not finite. Collective.
    double update(std::size_t passes, double learning_rate,
                  const std::function<void(std::size_t, const lm::PassOptions&)>& pass);

    const lm::CausalLm& model() const noexcept { return model_; }
    TrainedParameters& parameters() noexcept { return parameters_; }
    AdamW& optimizer() noexcept { return optimizer_; }

  private:
    comm::Communicator comm_;
    lm::TrainableLm& model_;
    Options options_;
    TrainedParameters parameters_;
    AdamW optimizer_;
};

}  // namespace popalign::preference
