#include <popalign/base/error.hpp>
#include <popalign/base/logistic_regression.hpp>
#include <popalign/evaluation/bradley_terry.hpp>

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <tuple>

namespace popalign::evaluation {
namespace {

constexpr std::size_t style_features = 4;
using StyleFeatures = std::array<double, style_features>;

double relative(double a, double b, double floor) {
    const double sum = a + b + floor;
    return sum > 0 ? (a - b) / sum : 0;
}

StyleFeatures style_difference(const AnswerStyle& a, const AnswerStyle& b) {
    const auto density = [](double count, const AnswerStyle& style) {
        return style.length > 0 ? count / style.length : 0;
    };
    return {relative(a.length, b.length, 0),
            relative(density(a.headers, a), density(b.headers, b), 1),
            relative(density(a.lists, a), density(b.lists, b), 1),
            relative(density(a.bold, a), density(b.bold, b), 1)};
}

/// Returns the style features of every battle, with mean 0 and standard deviation 1.
std::vector<StyleFeatures> normalised_styles(std::span<const Battle> battles) {
    std::vector<StyleFeatures> features;
    for (const Battle& battle : battles) {
        if (!battle.first_style || !battle.second_style)
            throw UsageError(
                "style control wants `style_a` and `style_b` in every battle; add them or do "
                "without "
                "it");
        features.push_back(style_difference(*battle.first_style, *battle.second_style));
    }
    const auto n = static_cast<double>(features.size());
    for (std::size_t j = 0; j < style_features; ++j) {
        double sum = 0, squares = 0;
        for (const auto& row : features)
            sum += row[j];
        const double centre = sum / n;
        for (const auto& row : features)
            squares += (row[j] - centre) * (row[j] - centre);
        const double spread = n > 1 ? std::sqrt(squares / (n - 1)) : 0;
        for (auto& row : features)
            row[j] = spread > 0 ? (row[j] - centre) / spread : 0;
    }
    return features;
}

/// Returns for each model whether battles of non-zero weight connect it with the baseline.
std::vector<bool> connected(const BattleSet& set, std::size_t baseline,
                            std::span<const double> times) {
    std::vector<bool> reached(set.models.size(), false);
    reached[baseline] = true;
    for (bool grew = true; grew;) {
        grew = false;
        for (std::size_t i = 0; i < set.battles.size(); ++i) {
            const Battle& battle = set.battles[i];
            if (times[i] > 0 && reached[battle.first] != reached[battle.second]) {
                reached[battle.first] = reached[battle.second] = true;
                grew = true;
            }
        }
    }
    return reached;
}

/// Columns of the models in the regression; the baseline and unconnected models have none.
struct Columns {
    static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();
    std::vector<std::size_t> of_model;
    std::size_t count = 0;
};

void set_row(std::vector<double>& row, const Columns& columns, const Battle& battle) {
    std::ranges::fill(row, 0.0);
    if (const auto column = columns.of_model[battle.first]; column != Columns::none)
        row[column] += 1;
    if (const auto column = columns.of_model[battle.second]; column != Columns::none)
        row[column] -= 1;
}

/// Merges battles of the same two models with the same outcome into one row.
LogisticProblem plain_problem(const BattleSet& set, const Columns& columns,
                              const std::vector<bool>& reached, std::span<const double> times) {
    std::map<std::tuple<std::size_t, std::size_t, double>, double> totals;
    for (std::size_t i = 0; i < set.battles.size(); ++i) {
        const Battle& battle = set.battles[i];
        if (times[i] > 0 && reached[battle.first])
            totals[{battle.first, battle.second, battle.first_wins}] += times[i];
    }
    LogisticProblem problem;
    problem.features = columns.count;
    std::vector<double> row(columns.count);
    for (const auto& [key, total] : totals) {
        set_row(row, columns, {0, std::get<0>(key), std::get<1>(key), 0});
        problem.add_row(row, std::get<2>(key), total);
    }
    return problem;
}

LogisticProblem styled_problem(const BattleSet& set, const Columns& columns,
                               const std::vector<bool>& reached, std::span<const double> times) {
    const auto styles = normalised_styles(set.battles);
    LogisticProblem problem;
    problem.features = columns.count + style_features;
    std::vector<double> row(problem.features);
    for (std::size_t i = 0; i < set.battles.size(); ++i) {
        const Battle& battle = set.battles[i];
        if (times[i] <= 0 || !reached[battle.first])
            continue;
        set_row(row, columns, battle);
        std::ranges::copy(styles[i], row.begin() + static_cast<std::ptrdiff_t>(columns.count));
        problem.add_row(row, battle.first_wins, times[i]);
    }
    return problem;
}

/// Returns the weight of each battle in a round of the bootstrap.
std::vector<double> drawn(const BattleSet& set, const ArenaOptions& options,
                          const RandomStream& stream, std::uint64_t round) {
    std::vector<double> times(set.battles.size());
    if (options.unit == ResampledUnit::battle) {
        const auto counts = resample(set.battles.size(), stream, round);
        std::ranges::copy(counts, times.begin());
        return times;
    }
    std::size_t questions = 0;
    for (const Battle& battle : set.battles)
        questions = std::max(questions, battle.question + 1);
    const auto counts = resample(questions, stream, round);
    for (std::size_t i = 0; i < times.size(); ++i)
        times[i] = counts[set.battles[i].question];
    return times;
}

}  // namespace

std::vector<double> bradley_terry(const BattleSet& set, std::size_t baseline,
                                  std::span<const double> times, StyleControl control) {
    const auto reached = connected(set, baseline, times);
    Columns columns{std::vector<std::size_t>(set.models.size(), Columns::none)};
    for (std::size_t m = 0; m < set.models.size(); ++m)
        if (reached[m] && m != baseline)
            columns.of_model[m] = columns.count++;
    const auto problem = control == StyleControl::none
                             ? plain_problem(set, columns, reached, times)
                             : styled_problem(set, columns, reached, times);
    const auto fit = fit_logistic(problem);
    std::vector<double> strengths(set.models.size(), std::numeric_limits<double>::quiet_NaN());
    strengths[baseline] = 0;
    for (std::size_t m = 0; m < set.models.size(); ++m)
        if (columns.of_model[m] != Columns::none)
            strengths[m] = fit.coefficients[columns.of_model[m]];
    return strengths;
}

double arena_score(double rating, double baseline_rating) noexcept {
    return 100 / (1 + std::pow(10, (baseline_rating - rating) / 400));
}

std::vector<ArenaScore> score_arena(const BattleSet& set, const ArenaOptions& options) {
    const auto found = std::ranges::find(set.models, options.baseline);
    if (found == set.models.end())
        throw UsageError(fmt::format("the baseline '{}' fought no battle; name one of: {}",
                                     options.baseline, fmt::join(set.models, ", ")));
    const auto baseline = static_cast<std::size_t>(found - set.models.begin());
    const std::vector<double> once(set.battles.size(), 1.0);
    const auto strengths = bradley_terry(set, baseline, once, options.control);
    std::vector<std::vector<double>> resampled(set.models.size());
    const RandomStream stream(options.seed, "arena", "bootstrap");
    for (int round = 0; round < options.rounds; ++round) {
        const auto times = drawn(set, options, stream, static_cast<std::uint64_t>(round));
        const auto again = bradley_terry(set, baseline, times, options.control);
        for (std::size_t m = 0; m < again.size(); ++m)
            resampled[m].push_back(100 * logistic(again[m]));
    }
    std::vector<ArenaScore> scores;
    for (std::size_t m = 0; m < set.models.size(); ++m) {
        if (std::isnan(strengths[m]))
            continue;
        const auto n = static_cast<std::size_t>(std::ranges::count_if(
            set.battles, [&](const Battle& b) { return b.first == m || b.second == m; }));
        scores.push_back({set.models[m], 100 * logistic(strengths[m]),
                          percentile_interval(std::move(resampled[m])), n});
    }
    return scores;
}

}  // namespace popalign::evaluation
