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

/// How often one judge finds the chosen answer of one strategy better, and how far length goes with
/// it.
struct StrategyAccuracy {
    std::string name, level, variant;
    VerdictSummary summary;
    Interval bootstrap;  ///< 95 %, percentile, over instructions: their pairs are drawn together
    double length_difference = 0;  ///< mean of chosen less rejected [code points]
    double chosen_longer = 0;      ///< share of pairs; equal lengths count half
    /// Where both answers are equally long: a logistic regression of the credit on the standardised
    /// length difference (through tanh, as AlpacaEval's), at no difference. Nothing below 10 pairs.
    std::optional<double> equal_length;
    Interval equal_length_interval;  ///< as `bootstrap`
};

/// One judge's verdicts, by strategy in the file's order, and over all.
struct JudgeAccuracy {
    store::JudgeRow judge;
    std::vector<StrategyAccuracy> strategies;
    StrategyAccuracy all;
};

/// How far two judges agree about the pairs that both found valid.
struct JudgeAgreement {
    std::size_t first = 0, second = 0;  ///< judges
    Agreement agreement;                ///< over chosen, rejected and tie
};

struct ContrastAccuracy {
    std::vector<JudgeAccuracy> judges;
    std::vector<JudgeAgreement> agreements;  ///< of every two
};

/// What the algorithm needs of a pair beside its verdicts.
struct PairFacts {
    std::uint64_t instruction = 0;
    std::uint32_t strategy = 0;
    double length_difference = 0;  ///< chosen less rejected [code points]
};

/// `verdicts` are ordered by judge, then pair, as a pair file has them; `facts` are of all pairs.
/// Deterministic for a seed. `rounds` is of the bootstraps, fewer where pairs are many.
ContrastAccuracy contrast_accuracy(const std::vector<store::StrategyRow>& strategies,
                                   const std::vector<store::JudgeRow>& judges,
                                   std::span<const PairFacts> facts,
                                   std::span<const Verdict> verdicts, std::uint64_t seed,
                                   int rounds = 1000);

/// As a table for people.
std::string format_contrast_accuracy(const JudgeAccuracy& accuracy);

}  // namespace popalign::contrast
