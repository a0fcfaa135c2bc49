#pragma once

#include <popalign/preference/options/train_options.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace popalign::preference {

/// Model values of one pair: log-probabilities summed over tokens [nat], or a reward model's scores
/// in their place.
struct PairScore {
    std::uint64_t pair = 0;      ///< row of /pairs
    std::uint32_t strategy = 0;  ///< row of /strategies
    double policy_chosen = 0, policy_rejected = 0;
    double reference_chosen = 0, reference_rejected = 0;
    std::uint32_t chosen_tokens = 0, rejected_tokens = 0;
};

/// Quantities of the whole global batch, for some objectives.
struct BatchContext {
    /// Values matched to a pair by rank in the sorted batch: log ratios of policy and reference.
    struct Match {
        double reference = 0;  ///< log ref(c|x) - log ref(r|x) at this pair's rank
        double chosen = 0;     ///< of a chosen answer at the rank of this pair's rejected one
        double rejected = 0;   ///< of a rejected answer at the rank of this pair's chosen one
    };

    double tokens_per_pair = 1;                        ///< mean length of the chosen answers
    double divergence = 0;                             ///< estimate of KL(policy | reference) [nat]
    std::unordered_map<std::uint64_t, Match> matches;  ///< by PairScore::pair
};

/// An objective's value for one pair, with its derivatives with respect to the policy's two values.
struct PairLoss {
    double loss = 0;
    double chosen_slope = 0, rejected_slope = 0;
    double chosen_reward = 0, rejected_reward = 0;  ///< implicit rewards, or scores
};

/// A weighted sum of objectives, as a function of a pair's values. A step's loss is the mean over
/// the pairs of the global batch; its gradient is the gradient of the policy's values times the
/// slopes.
class Objective {
  public:
    /// Throws UsageError naming the key for an unknown name or a number out of range.
    explicit Objective(const ObjectiveOptions& options);

    bool uses_reference() const noexcept;
    bool uses_rejected() const noexcept;
    /// Returns whether a pair's loss depends on the policy's values of other pairs of its batch.
    bool uses_matches() const noexcept;
    /// Returns whether the loss depends on the divergence.
    bool uses_divergence() const noexcept;
    /// Returns whether the values are scores of a reward model.
    bool uses_scores() const noexcept;
    /// Returns whether a pair's loss can be exactly 0.
    bool can_vanish() const noexcept;

    PairLoss operator()(const PairScore& pair, const BatchContext& batch) const;

  private:
    bool any(unsigned trait) const noexcept;

    ObjectiveOptions options_;
    std::vector<std::pair<std::size_t, double>> terms_;  ///< row of the table and weight
};

/// Returns the valid values of `train.objective`.
std::vector<std::string> objective_names();

/// Matches all pairs of a global batch by rank; the order of `scores` does not matter.
std::unordered_map<std::uint64_t, BatchContext::Match> match_by_rank(
    std::span<const PairScore> scores);

}  // namespace popalign::preference
