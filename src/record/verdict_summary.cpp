#include <popalign/base/statistics.hpp>
#include <popalign/record/verdict_summary.hpp>

#include <cmath>
#include <optional>

namespace popalign {
namespace {

/// 1 where the chosen answer is likelier the better one, 0 where not, a half for ties.
double credit(double probability) {
    // Two orders of identical answers give p and 1 - p, whose mean may miss a half by a rounding.
    constexpr double tolerance = 1e-9;
    if (std::abs(probability - 0.5) <= tolerance)
        return 0.5;
    return probability > 0.5 ? 1.0 : 0.0;
}

}  // namespace

VerdictSummary summarise_verdicts(std::span<const Verdict> verdicts) {
    VerdictSummary summary;
    double credits = 0, consistent = 0, by_order[2] = {0, 0};
    for (std::size_t begin = 0, end = 0; begin < verdicts.size(); begin = end) {
        std::optional<double> probability[2];
        for (end = begin; end < verdicts.size() && verdicts[end].pair == verdicts[begin].pair;
             ++end)
            if (verdicts[end].parsed)
                probability[static_cast<int>(verdicts[end].order)] = verdicts[end].probability;
        ++summary.n;
        if (!probability[0] || !probability[1])
            continue;
        ++summary.n_valid;
        const double pair_credit = credit((*probability[0] + *probability[1]) / 2);
        credits += pair_credit;
        summary.ties += pair_credit == 0.5 ? 1 : 0;
        consistent += credit(*probability[0]) == credit(*probability[1]) ? 1 : 0;
        for (int order : {0, 1})
            by_order[order] += credit(*probability[order]);
    }
    if (summary.n_valid == 0)
        return summary;
    const auto n = static_cast<double>(summary.n_valid);
    const Interval interval = wilson_interval(credits, summary.n_valid);
    summary.accuracy = credits / n;
    summary.lower = interval.lower;
    summary.upper = interval.upper;
    summary.position_consistency = consistent / n;
    summary.chosen_first_accuracy = by_order[0] / n;
    summary.rejected_first_accuracy = by_order[1] / n;
    return summary;
}

}  // namespace popalign
