#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace popalign::preference {

/// Result of a step for one pair.
struct PairOutcome {
    std::uint32_t strategy = 0;
    double weight = 1;  ///< weight of its strategy
    double loss = 0, chosen_reward = 0, rejected_reward = 0;
    double chosen_logp = 0, rejected_logp = 0;  ///< of the policy, summed over tokens [nat]
    std::uint64_t tokens = 0;                   ///< of both sequences
};

/// Set of TRL's metric names for an objective.
enum class MetricNames {
    preference,  ///< rewards/* and logps/* of both sides
    likelihood,  ///< only logps/chosen: no rejected answers
    score        ///< accuracy, margin and mean_reward of a reward model
};

/// Sums and counts by strategy. Means are divided only after summing, so every mean is over pairs,
/// independent of ranks, micro-batches and steps.
class PairStatistics {
  public:
    explicit PairStatistics(std::size_t strategies);

    void add(const PairOutcome& outcome);
    void merge(std::span<const double> sums);
    void clear();
    /// Returns the raw sums, for summing over ranks or storing.
    std::span<double> sums() noexcept { return sums_; }
    std::span<const double> sums() const noexcept { return sums_; }

    double pairs() const;
    double tokens() const;
    /// Returns the optimised loss, with the strategies' weights.
    double mean_loss() const;
    /// Returns metrics by TRL's names. Strategies without pairs are left out, so none is NaN. A
    /// strategy's loss excludes its weight.
    std::map<std::string, double> metrics(std::span<const std::string> strategy_names,
                                          MetricNames names = MetricNames::preference) const;

  private:
    std::vector<double> sums_;  // [strategies, quantities]
};

}  // namespace popalign::preference
