#pragma once

#include "preference/data/packed_pairs.hpp"
#include "preference/data/pair_data.hpp"
#include "preference/objective/objective.hpp"
#include "preference/pairs/pair_statistics.hpp"
#include "preference/pairs/reference.hpp"
#include "preference/pairs/training_cost.hpp"
#include "preference/update/model_update.hpp"

#include <popalign/comm/communicator.hpp>
#include <popalign/lm/transformer/trainable_lm.hpp>

#include <cstdint>
#include <span>

namespace popalign::preference {

/// A pair and the reference's log-probabilities of its answers [nat].
struct ReferencedPair {
    PairExample example;
    double reference_chosen = 0, reference_rejected = 0;
};

/// One rank's part of a global batch.
struct BatchShare {
    std::vector<ReferencedPair> pairs;
    std::size_t global_pairs = 0;            ///< over all ranks
    std::uint64_t global_chosen_tokens = 0;  ///< in the chosen answers, over all ranks
    /// The same prompts with mismatched answers (`pair_transforms`), if the objective uses the
    /// divergence.
    std::vector<ReferencedPair> mismatched = {};
};

/// Loads the share of `batch` (items of `data`) that this rank computes. References may be empty if
/// the objective needs none.
BatchShare load_share(const comm::Communicator& comm, const PairData& data,
                      const CompletionLogProbabilities& reference,
                      std::span<const std::size_t> batch, const PairData* mismatched = nullptr,
                      const CompletionLogProbabilities* mismatched_reference = nullptr);

struct PairTrainerOptions {
    Objective objective{ObjectiveOptions{}};
    std::vector<double> strategy_weights = {};  ///< by row of /strategies; empty: 1 each
    std::int64_t micro_batch_tokens = 2048;
    ModelUpdate::Options update = {};
    PackingMode packing = PackingMode::shared;
};

struct StepReport {
    PairStatistics statistics;  ///< of the global batch
    double grad_norm = 0;       ///< before clipping
    double divergence = 0;      ///< KL(policy | reference), estimated by the objective [nat]
    double seconds = 0;         ///< mean over ranks
    double communication = 0;   ///< part of `seconds` spent waiting for other ranks
    TrainingCost cost = {};     ///< of all ranks
};

/// Data-parallel training of one model on preference pairs. Trained parameters are replicated on
/// all ranks or sharded among them. The loss is the mean over the pairs of the global batch,
/// independent of their division among ranks and forward passes.
class PairTrainer {
  public:
    /// Collective.
    PairTrainer(const comm::Communicator& comm, lm::TrainableLm& model,
                const PairTrainerOptions& options, std::size_t strategies);

    /// Trains on this rank's share of a global batch: gradients, their sum over ranks, clipping and
    /// one update. Throws AgreedError naming step, rank and pairs if a loss is 0 where the
    /// objective cannot be, or a loss or gradient is not finite. Collective.
    StepReport step(const BatchShare& share, double learning_rate);

    /// Does the part of `step` before clipping; then `update().parameters()` holds the global
    /// gradient. Collective.
    StepReport compute_gradients(const BatchShare& share);

    /// Returns the loss of a global batch if the policy equals its reference. Collective.
    double starting_loss(const BatchShare& share) const;

    ModelUpdate& update() noexcept { return update_; }

  private:
    double weight_of(std::uint32_t strategy) const;
    BatchContext context_of(const BatchShare& share) const;
    /// Computes log-probabilities without gradients, in micro-batches.
    std::vector<PairScore> scores_without_gradients(std::span<const ReferencedPair> pairs) const;
    /// Collective if the objective asks for it.
    void look_at_batch(const BatchShare& share, BatchContext& context) const;
    void accumulate(std::span<const ReferencedPair> pairs, const BatchShare& share,
                    const BatchContext& context, const lm::PassOptions& pass, StepReport& report);
    void share_report(StepReport& report, double seconds, double communication) const;
    void require_usable(const PairScore& score, const PairLoss& loss) const;
    /// Throws Error naming the first pairs of this rank whose gradients are not finite, if any.
    void find_culprits(const BatchShare& share, const BatchContext& context);

    comm::Communicator comm_;
    PairTrainerOptions options_;
    std::size_t strategies_;
    ModelUpdate update_;
};

}  // namespace popalign::preference
