#include "preference/pairs/pair_statistics.hpp"

#include <popalign/base/error.hpp>

#include <algorithm>

namespace popalign::preference {
namespace {

enum Quantity : std::size_t {
    count,
    loss,
    weighted_loss,
    chosen_reward,
    rejected_reward,
    correct,
    chosen_logp,
    rejected_logp,
    token_count,
    quantities
};

double total(std::span<const double> sums, Quantity quantity) {
    double value = 0;
    for (std::size_t i = quantity; i < sums.size(); i += quantities)
        value += sums[i];
    return value;
}

}  // namespace

PairStatistics::PairStatistics(std::size_t strategies)
    : sums_(std::max<std::size_t>(1, strategies) * quantities, 0.0) {}

void PairStatistics::add(const PairOutcome& outcome) {
    const std::size_t row = outcome.strategy * std::size_t{quantities};
    if (row >= sums_.size())
        throw Error("a pair names a strategy that the file does not have");
    double* strategy_sums = sums_.data() + row;
    strategy_sums[count] += 1;
    strategy_sums[loss] += outcome.loss;
    strategy_sums[weighted_loss] += outcome.weight * outcome.loss;
    strategy_sums[chosen_reward] += outcome.chosen_reward;
    strategy_sums[rejected_reward] += outcome.rejected_reward;
    strategy_sums[correct] += outcome.chosen_reward > outcome.rejected_reward ? 1 : 0;
    strategy_sums[chosen_logp] += outcome.chosen_logp;
    strategy_sums[rejected_logp] += outcome.rejected_logp;
    strategy_sums[token_count] += static_cast<double>(outcome.tokens);
}

void PairStatistics::merge(std::span<const double> sums) {
    if (sums.size() != sums_.size())
        throw Error("statistics over different strategies cannot be added");
    std::transform(sums.begin(), sums.end(), sums_.begin(), sums_.begin(), std::plus<>());
}

void PairStatistics::clear() {
    std::fill(sums_.begin(), sums_.end(), 0.0);
}

double PairStatistics::pairs() const {
    return total(sums_, count);
}
double PairStatistics::tokens() const {
    return total(sums_, token_count);
}
double PairStatistics::mean_loss() const {
    return total(sums_, weighted_loss) / pairs();
}

std::map<std::string, double> PairStatistics::metrics(std::span<const std::string> strategy_names,
                                                      MetricNames names) const {
    std::map<std::string, double> metrics;
    const auto add_rows = [&](const std::string& prefix, std::span<const double> rows) {
        const double n = total(rows, count);
        if (n == 0)
            return;
        const double chosen = total(rows, chosen_reward) / n;
        const double rejected = total(rows, rejected_reward) / n;
        metrics[prefix + "loss"] = total(rows, loss) / n;
        if (names == MetricNames::score) {
            metrics[prefix + "accuracy"] = total(rows, correct) / n;
            metrics[prefix + "margin"] = chosen - rejected;
            metrics[prefix + "mean_reward"] = (chosen + rejected) / 2;
            return;
        }
        metrics[prefix + "logps/chosen"] = total(rows, chosen_logp) / n;
        if (names == MetricNames::likelihood)
            return;
        metrics[prefix + "logps/rejected"] = total(rows, rejected_logp) / n;
        metrics[prefix + "rewards/chosen"] = chosen;
        metrics[prefix + "rewards/rejected"] = rejected;
        metrics[prefix + "rewards/margins"] = chosen - rejected;
        metrics[prefix + "rewards/accuracies"] = total(rows, correct) / n;
    };
    add_rows("", sums_);
    if (pairs() > 0)
        metrics["loss"] = mean_loss();
    for (std::size_t row = 0; row < strategy_names.size(); ++row)
        add_rows("strategy/" + strategy_names[row] + "/",
                 std::span(sums_).subspan(row * quantities, quantities));
    return metrics;
}

}  // namespace popalign::preference
