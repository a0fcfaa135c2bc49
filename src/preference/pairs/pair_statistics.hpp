#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace popalign::preference {

/// What a step found for one pair.
struct PairOutcome {
    std::uint32_t strategy = 0;
    double weight = 1;  ///< its strategy's
    double loss = 0, chosen_reward = 0, rejected_reward = 0;
    double chosen_logp = 0, rejected_logp = 0;  ///< summed over tokens, of the policy [nat]
    std::uint64_t tokens = 0;                   ///< of both sequences
};

/// Under which names TRL's trainers report an objective's figures.
enum class MetricNames {
    preference,  ///< rewards/* and logps/* of both sides
    likelihood,  ///< logps/chosen alone: no rejected answers
    score        ///< accuracy, margin and mean_reward of a reward model
};

/// Sums and counts by strategy. Adding up and only then dividing makes every mean one over pairs,
/// whatever ranks, micro-batches and steps they came from.
class PairStatistics {
  public:
    explicit PairStatistics(std::size_t strategies);

    void add(const PairOutcome& outcome);
    void merge(std::span<const double> sums);
    void clear();
    /// To be summed over ranks, or stored.
    std::span<double> sums() noexcept { return sums_; }
    std::span<const double> sums() const noexcept { return sums_; }

    double pairs() const;
    double tokens() const;
    /// What is optimised: with the strategies' weights.
    double mean_loss() const;
    /// TRL's names; NaN-free: strategies without pairs are left out. A strategy's loss is without
    /// its weight.
    std::map<std::string, double> metrics(std::span<const std::string> strategy_names,
                                          MetricNames names = MetricNames::preference) const;

  private:
    std::vector<double> sums_;  // [strategies, quantities]
};

}  // namespace popalign::preference
