#include <popalign/base/statistics.hpp>
#include <popalign/record/verdict_summary.hpp>

#include <array>
#include <cmath>

namespace popalign {
namespace {

double credit(double probability) {
    // Two orders of identical answers give p and 1 - p, whose mean may miss a half by a rounding.
    constexpr double tolerance = 1e-9;
    if (std::abs(probability - 0.5) <= tolerance)
        return 0.5;
    return probability > 0.5 ? 1.0 : 0.0;
}

bool abstained(const Verdict& verdict) {
    return verdict.parsed && std::isnan(verdict.probability);
}

bool valid(const Verdict& verdict) {
    return verdict.parsed && !abstained(verdict);
}

using ByOrder = std::array<std::optional<double>, 2>;

ByOrder probabilities(std::span<const Verdict> verdicts) {
    ByOrder result;
    for (const Verdict& verdict : verdicts)
        if (valid(verdict))
            result[static_cast<std::size_t>(verdict.order)] = verdict.probability;
    return result;
}

}  // namespace

std::span<const Verdict> leading_pair(std::span<const Verdict> verdicts) {
    std::size_t end = 0;
    while (end < verdicts.size() && verdicts[end].pair == verdicts.front().pair)
        ++end;
    return verdicts.first(end);
}

std::optional<double> pair_credit(std::span<const Verdict> verdicts) {
    const auto [first, second] = probabilities(verdicts);
    if (!first || !second)
        return std::nullopt;
    return credit((*first + *second) / 2);
}

VerdictSummary summarise_verdicts(std::span<const Verdict> verdicts) {
    VerdictSummary summary;
    double credits = 0, consistent = 0, by_order[2] = {0, 0};
    while (!verdicts.empty()) {
        const auto pair = leading_pair(verdicts);
        verdicts = verdicts.subspan(pair.size());
        ++summary.n;
        for (const Verdict& verdict : pair) {
            summary.unparsed += verdict.parsed ? 0 : 1;
            summary.abstained += abstained(verdict) ? 1 : 0;
        }
        const auto both = pair_credit(pair);
        if (!both)
            continue;
        const auto probability = probabilities(pair);
        ++summary.n_valid;
        credits += *both;
        summary.ties += *both == 0.5 ? 1 : 0;
        consistent += credit(*probability[0]) == credit(*probability[1]) ? 1 : 0;
        for (std::size_t order : {0U, 1U})
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
