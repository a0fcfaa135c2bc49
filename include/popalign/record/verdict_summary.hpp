#pragma once

#include <popalign/record/verdict.hpp>

#include <cstdint>
#include <optional>
#include <span>

namespace popalign {

/// How often the chosen answer was found better, over pairs judged in both orders: a pair's
/// probability is the mean of its orders, so that a preference for a place cancels.
struct VerdictSummary {
    std::uint64_t n = 0;              ///< pairs with any verdict
    std::uint64_t n_valid = 0;        ///< pairs with a choice or a tie in both orders
    std::uint64_t ties = 0;           ///< count half
    std::uint64_t abstained = 0;      ///< verdicts that would not choose
    std::uint64_t unparsed = 0;       ///< verdicts that could not be read
    double accuracy = 0;              ///< of the valid pairs
    double lower = 0, upper = 1;      ///< 95 %, Wilson
    double position_consistency = 0;  ///< share of valid pairs with the same label in both orders
    double chosen_first_accuracy = 0, rejected_first_accuracy = 0;  ///< by order alone
};

/// `verdicts` are of one judge; those of one pair stand next to each other.
VerdictSummary summarise_verdicts(std::span<const Verdict> verdicts);

/// One pair's verdicts taken together: 1 where the chosen answer is likelier the better one, 0
/// where not, a half for a tie; nothing unless both orders have a choice or a tie.
std::optional<double> pair_credit(std::span<const Verdict> verdicts);

/// The first verdicts of `verdicts` that are of one pair.
std::span<const Verdict> leading_pair(std::span<const Verdict> verdicts);

}  // namespace popalign
