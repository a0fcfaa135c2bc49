#pragma once

#include "preference/ppo/ppo_formulas.hpp"
#include "preference/ppo/rollout.hpp"
#include "preference/update/model_update.hpp"

#include <popalign/comm/communicator.hpp>
#include <popalign/lm/transformer/trainable_lm.hpp>
#include <popalign/preference/options/train_options.hpp>

#include <cstdint>
#include <span>
#include <vector>

namespace popalign::preference {

struct PpoTrainerOptions {
    PpoOptions ppo;
    std::int64_t global_batch_size = 32;  ///< rollouts of an update
    std::int64_t micro_batch_tokens = 2048;
    std::uint64_t seed = 0;
    ModelUpdate::Options update = {};
};

/// Figures of a round, as means over the tokens of all its updates.
struct PpoReport {
    double policy_loss = 0, value_loss = 0;
    double policy_clipped = 0, value_clipped = 0;  ///< shares of tokens
    double approximate_kl = 0;  ///< from the sampling policy: half the squared log ratio [nat]
    double entropy = 0;         ///< [nat]
    double ratio = 0, ratio_variance = 0;
    double policy_grad_norm = 0, critic_grad_norm = 0;  ///< means over updates
};

/// Data-parallel PPO of a policy and a critic. Losses are means over the completion tokens of an
/// update, independent of their division among ranks and passes.
class PpoTrainer {
  public:
    /// Collective.
    PpoTrainer(const comm::Communicator& comm, lm::TrainableLm& policy, lm::TrainableLm& critic,
               const PpoTrainerOptions& options);

    /// Fills in the rollouts' log-probabilities and values, computed as in training.
    void look_at(std::span<Rollout> rollouts) const;

    /// Trains on a round's rollouts, which every rank must hold: `ppo.epochs` passes in orders
    /// drawn by `round`. `kl_coefficient` weights the penalty on divergence. Collective.
    PpoReport learn(std::span<const Rollout> rollouts, std::int64_t round, double kl_coefficient,
                    double learning_rate, double critic_learning_rate);

    /// Returns the updates of each model in a round of that many rollouts.
    std::int64_t updates(std::size_t rollouts) const noexcept;

    ModelUpdate& policy() noexcept { return policy_; }
    ModelUpdate& critic() noexcept { return critic_; }

  private:
    struct Batch;
    Batch share_of(std::span<const Rollout> rollouts, std::span<const Advantages> advantages,
                   std::span<const std::size_t> items) const;
    double learn_policy(const Batch& batch, double learning_rate);
    double learn_values(const Batch& batch, double learning_rate);
    void summarise(PpoReport& report, std::int64_t updates) const;

    comm::Communicator comm_;
    PpoTrainerOptions options_;
    ModelUpdate policy_, critic_;
    std::vector<double> sums_;  ///< of this rank, in this round
};

/// Returns advantages, whitened over all tokens of a round, and returns of its rollouts.
std::vector<Advantages> advantages_of(std::span<const Rollout> rollouts, const PpoOptions& options,
                                      double kl_coefficient);

}  // namespace popalign::preference
