#pragma once

#include <popalign/record/verdict.hpp>

#include <cstdint>
#include <optional>
#include <span>

namespace popalign {

/// Summary of how often the chosen answer is found better, over pairs judged in both orders. The
/// probability of a pair is the mean over both orders, so that position bias cancels.
struct VerdictSummary {
    std::uint64_t n = 0;              ///< pairs with any verdict
    std::uint64_t n_valid = 0;        ///< pairs with a choice or a tie in both orders
    std::uint64_t ties = 0;           ///< ties; each counts as half
    std::uint64_t abstained = 0;      ///< verdicts in which the judge declined to choose
    std::uint64_t unparsed = 0;       ///< verdicts that could not be read
    double accuracy = 0;              ///< of the valid pairs
    double lower = 0, upper = 1;      ///< 95 %, Wilson
    double position_consistency = 0;  ///< share of valid pairs with the same label in both orders
    double chosen_first_accuracy = 0, rejected_first_accuracy = 0;  ///< for each order alone
};

/// Summarises the verdicts of one judge. Verdicts of a pair must be adjacent.
VerdictSummary summarise_verdicts(std::span<const Verdict> verdicts);

/// Returns the combined result of one pair's verdicts: 1 if the chosen answer is more likely the
/// better one, 0 if not, 0.5 for a tie. Returns nothing unless both orders have a choice or a tie.
std::optional<double> pair_credit(std::span<const Verdict> verdicts);

/// Returns the verdicts at the beginning of `verdicts` that belong to its first pair.
std::span<const Verdict> leading_pair(std::span<const Verdict> verdicts);

}  // namespace popalign
