#pragma once

#include "preference/update/optimizer.hpp"
#include "preference/update/trained_parameters.hpp"

#include <popalign/comm/communicator.hpp>
#include <popalign/lm/transformer/trainable_lm.hpp>
#include <popalign/preference/options/train_options.hpp>

#include <cstddef>
#include <functional>

namespace popalign::preference {

/// One optimizer update of one model: backward passes, gradient sum over ranks, clipping, AdamW.
/// PPO holds one for the policy and one for the critic.
class ModelUpdate {
  public:
    struct Options {
        double max_grad_norm = 1.0, weight_decay = 0.0;
        ShardingOptions sharding = {};
        lm::PassOptions::Activations activations = lm::PassOptions::Activations::keep;
    };
    /// Runs one forward and backward pass of this rank, given its number.
    using Pass = std::function<void(std::size_t, const lm::PassOptions&)>;
    struct Gradient {
        double norm = 0;          ///< before clipping
        double wait_seconds = 0;  ///< time in which this rank waited for others
    };

    /// Collective.
    ModelUpdate(const comm::Communicator& comm, lm::TrainableLm& model, const Options& options);

    /// Leaves the sum of all ranks' gradients in `parameters()`. Each rank runs `passes` passes of
    /// its own. Throws AgreedError if a pass failed on any rank. Collective.
    Gradient compute_gradient(std::size_t passes, const Pass& pass);
    /// Clips the gradient, whose norm is `norm`, and updates the parameters on all ranks. Returns
    /// the seconds in which this rank waited for others. Collective.
    double apply_gradient(double norm, double learning_rate);
    /// Does both and returns the gradient's norm. Throws AgreedError also if it is not finite.
    /// Collective.
    double update(std::size_t passes, double learning_rate, const Pass& pass);

    /// Runs one pass and leaves its gradient in `model().trainable()`, not summed over ranks.
    void compute_local_gradient(const std::function<void(const lm::PassOptions&)>& pass);

    const lm::TrainableLm& model() const noexcept { return model_; }
    TrainedParameters& parameters() noexcept { return parameters_; }
    AdamW& optimizer() noexcept { return optimizer_; }
    /// Returns the number of the next update, from 1.
    std::int64_t next() const noexcept { return optimizer_.steps() + 1; }

  private:
    comm::Communicator comm_;
    lm::TrainableLm& model_;
    Options options_;
    TrainedParameters parameters_;
    AdamW optimizer_;
};

ModelUpdate::Options update_options(const TrainOptions& options);

}  // namespace popalign::preference
