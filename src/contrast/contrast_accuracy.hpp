#pragma once

#include <popalign/base/resampling.hpp>
#include <popalign/record/preference_pair.hpp>
#include <popalign/record/verdict_summary.hpp>
#include <popalign/store/pairs/pair_rows.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace popalign::contrast {

/// Share of one strategy's pairs in which one judge prefers the chosen answer, and the effect of
/// length.
struct StrategyAccuracy {
    std::string name, level, variant;
    VerdictSummary summary;
    Interval
        bootstrap;  ///< 95 % percentile bootstrap over instructions; keeps their pairs together
    double length_difference = 0;  ///< mean of chosen minus rejected [code points]
    double chosen_longer =
        0;  ///< share of pairs with a longer chosen answer; equal lengths count half
    /// Accuracy at equal length: a logistic regression of the credit on the standardised length
    /// difference (through tanh, as AlpacaEval's), at no difference. Nothing below 10 pairs.
    std::optional<double> equal_length;
    Interval equal_length_interval;  ///< as `bootstrap`
};

/// One judge's accuracy, by strategy in the file's order, and over all.
struct JudgeAccuracy {
    store::JudgeRow judge;
    std::vector<StrategyAccuracy> strategies;
    StrategyAccuracy all;
};

/// Agreement of two judges on the pairs for which both gave valid verdicts.
struct JudgeAgreement {
    std::size_t first = 0, second = 0;  ///< indices of judges
    Agreement agreement;                ///< over chosen, rejected and tie
};

struct ContrastAccuracy {
    std::vector<JudgeAccuracy> judges;
    std::vector<JudgeAgreement> agreements;  ///< of every two judges
};

/// Facts of a pair, beside its verdicts.
struct PairFacts {
    std::uint64_t instruction = 0;
    std::uint32_t strategy = 0;
    double length_difference = 0;  ///< chosen minus rejected [code points]
};

/// Computes accuracies and agreements. `verdicts` must be ordered by judge, then pair, as in a pair
/// file; `facts` cover all pairs. Deterministic for a seed. `rounds` is the number of bootstrap
/// rounds, reduced for many pairs.
ContrastAccuracy contrast_accuracy(const std::vector<store::StrategyRow>& strategies,
                                   const std::vector<store::JudgeRow>& judges,
                                   std::span<const PairFacts> facts,
                                   std::span<const Verdict> verdicts, std::uint64_t seed,
                                   int rounds = 1000);

/// Returns a table for people.
std::string format_contrast_accuracy(const JudgeAccuracy& accuracy);

}  // namespace popalign::contrast
