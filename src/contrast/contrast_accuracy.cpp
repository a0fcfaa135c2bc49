#include "contrast/contrast_accuracy.hpp"

#include <popalign/base/logistic_regression.hpp>
#include <popalign/store/pairs/pair_rows.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>

namespace popalign::contrast {
namespace {

constexpr std::size_t fewest_for_equal_length = 10;

/// A pair with a valid verdict in both orders.
struct JudgedPair {
    std::uint64_t pair = 0;
    std::size_t group = 0;  ///< index of its instruction among those that occur
    double credit = 0, length_difference = 0;
};

/// Returns fewer rounds for many pairs, whose intervals are narrow anyway.
int rounds_for(std::size_t pairs, int most) {
    constexpr std::size_t draws = 100'000'000;
    const auto affordable = static_cast<int>(std::min<std::size_t>(draws / pairs, 1'000'000));
    return std::min(most, std::max(affordable, 50));
}

/// Returns the accuracy at no length difference; `times` are weights of the groups.
double accuracy_at_equal_length(std::span<const JudgedPair> pairs, double spread,
                                std::span<const std::uint32_t> times) {
    LogisticProblem problem;
    problem.features = 2;
    for (const JudgedPair& pair : pairs) {
        if (times[pair.group] == 0)
            continue;
        const std::array<double, 2> x{1, std::tanh(pair.length_difference / spread)};
        problem.add_row(x, pair.credit, times[pair.group]);
    }
    if (problem.target.empty())
        return std::numeric_limits<double>::quiet_NaN();
    return logistic(fit_logistic(problem).coefficients[0]);
}

double spread_of(std::span<const JudgedPair> pairs) {
    double sum = 0, squares = 0;
    for (const JudgedPair& pair : pairs)
        sum += pair.length_difference;
    const auto n = static_cast<double>(pairs.size());
    for (const JudgedPair& pair : pairs)
        squares += (pair.length_difference - sum / n) * (pair.length_difference - sum / n);
    const double spread = std::sqrt(squares / (n - 1));
    return spread > 0 ? spread : 1;
}

double mean_credit(std::span<const JudgedPair> pairs, std::span<const std::uint32_t> times) {
    double credits = 0, count = 0;
    for (const JudgedPair& pair : pairs) {
        credits += times[pair.group] * pair.credit;
        count += times[pair.group];
    }
    return count > 0 ? credits / count : std::numeric_limits<double>::quiet_NaN();
}

/// `verdicts` must be ordered by pair.
StrategyAccuracy accuracy_of(const store::StrategyRow& strategy, std::span<const PairFacts> facts,
                             std::span<const Verdict> verdicts, std::uint64_t seed,
                             int most_rounds) {
    StrategyAccuracy result{
        strategy.name, strategy.level, strategy.variant, summarise_verdicts(verdicts), {0, 1}, 0, 0,
        std::nullopt,  {0, 1}};
    std::vector<JudgedPair> pairs;
    std::map<std::uint64_t, std::size_t> groups;
    while (!verdicts.empty()) {
        const auto pair = leading_pair(verdicts);
        verdicts = verdicts.subspan(pair.size());
        const PairFacts& fact = facts[pair.front().pair];
        if (const auto credit = pair_credit(pair))
            pairs.push_back({pair.front().pair,
                             groups.emplace(fact.instruction, groups.size()).first->second, *credit,
                             fact.length_difference});
    }
    if (pairs.empty())
        return result;
    const auto n = static_cast<double>(pairs.size());
    for (const JudgedPair& pair : pairs) {
        result.length_difference += pair.length_difference / n;
        result.chosen_longer += pair.length_difference > 0 ? 1 / n : 0;
        result.chosen_longer += pair.length_difference == 0 ? 0.5 / n : 0;
    }
    const RandomStream stream(seed, strategy.name + '/' + strategy.variant, "contrast accuracy");
    const int rounds = rounds_for(pairs.size(), most_rounds);
    result.bootstrap = bootstrap_interval(groups.size(), rounds, stream,
                                          [&](auto times) { return mean_credit(pairs, times); });
    if (pairs.size() >= fewest_for_equal_length) {
        const double spread = spread_of(pairs);
        const std::vector<std::uint32_t> once(groups.size(), 1);
        result.equal_length = accuracy_at_equal_length(pairs, spread, once);
        result.equal_length_interval = bootstrap_interval(
            groups.size(), rounds, stream,
            [&](auto times) { return accuracy_at_equal_length(pairs, spread, times); });
    }
    return result;
}

/// Returns the credits of the valid pairs, by pair.
std::map<std::uint64_t, double> credits_of(std::span<const Verdict> verdicts) {
    std::map<std::uint64_t, double> credits;
    while (!verdicts.empty()) {
        const auto pair = leading_pair(verdicts);
        verdicts = verdicts.subspan(pair.size());
        if (const auto credit = pair_credit(pair))
            credits[pair.front().pair] = *credit;
    }
    return credits;
}

JudgeAgreement agreement_between(std::size_t first, std::size_t second,
                                 const std::map<std::uint64_t, double>& a,
                                 const std::map<std::uint64_t, double>& b) {
    std::vector<std::pair<int, int>> labels;
    for (const auto& [pair, credit] : a)
        if (const auto other = b.find(pair); other != b.end())
            labels.emplace_back(static_cast<int>(2 * credit), static_cast<int>(2 * other->second));
    return {first, second, agreement_of(labels)};
}

}  // namespace

ContrastAccuracy contrast_accuracy(const std::vector<store::StrategyRow>& strategies,
                                   const std::vector<store::JudgeRow>& judges,
                                   std::span<const PairFacts> facts,
                                   std::span<const Verdict> verdicts, std::uint64_t seed,
                                   int rounds) {
    ContrastAccuracy accuracy;
    std::vector<std::map<std::uint64_t, double>> credits;
    for (std::size_t j = 0; j < judges.size(); ++j) {
        std::vector<Verdict> all;
        std::vector<std::vector<Verdict>> by_strategy(strategies.size());
        for (const Verdict& verdict : verdicts)
            if (verdict.judge == j) {
                all.push_back(verdict);
                by_strategy.at(facts[verdict.pair].strategy).push_back(verdict);
            }
        JudgeAccuracy& judge = accuracy.judges.emplace_back();
        judge.judge = judges[j];
        for (std::size_t s = 0; s < strategies.size(); ++s)
            judge.strategies.push_back(
                accuracy_of(strategies[s], facts, by_strategy[s], seed, rounds));
        judge.all = accuracy_of({"all", "", ""}, facts, all, seed, rounds);
        credits.push_back(credits_of(all));
    }
    for (std::size_t a = 0; a < judges.size(); ++a)
        for (std::size_t b = a + 1; b < judges.size(); ++b)
            accuracy.agreements.push_back(agreement_between(a, b, credits[a], credits[b]));
    return accuracy;
}

std::string format_contrast_accuracy(const JudgeAccuracy& accuracy) {
    std::string table =
        fmt::format("{:<16} {:>9} {:>17} {:>6} {:>6} {:>6} {:>11} {:>13}\n", "strategy", "accuracy",
                    "95 % interval", "pairs", "ties", "lost", "consistent", "equal length");
    const auto row = [&](const StrategyAccuracy& strategy) {
        const VerdictSummary& s = strategy.summary;
        table += fmt::format(
            "{:<16} {:>8.1f}% {:>7.1f} to {:>5.1f}% {:>6} {:>6} {:>6} {:>10.1f}% {:>13}\n",
            strategy.name, 100 * s.accuracy, 100 * s.lower, 100 * s.upper, s.n_valid, s.ties,
            s.n - s.n_valid, 100 * s.position_consistency,
            strategy.equal_length ? fmt::format("{:.1f}%", 100 * *strategy.equal_length) : "");
    };
    for (const StrategyAccuracy& strategy : accuracy.strategies)
        row(strategy);
    row(accuracy.all);
    return table;
}

}  // namespace popalign::contrast
