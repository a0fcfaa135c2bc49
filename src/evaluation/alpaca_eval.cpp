#include <popalign/base/error.hpp>
#include <popalign/base/logistic_regression.hpp>
#include <popalign/evaluation/alpaca_eval.hpp>

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <numeric>

namespace popalign {
namespace {

constexpr double inverse_penalty = 10;  // C
constexpr double gamed_weight = 0.1;

double mean(std::span<const double> values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// With n - 1 degrees of freedom.
double standard_deviation(std::span<const double> values) {
    const double centre = mean(values);
    double sum = 0;
    for (const double value : values)
        sum += (value - centre) * (value - centre);
    return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

/// Of shares, in percent.
Estimate percentage(std::span<const double> shares) {
    const auto n = static_cast<double>(shares.size());
    return {100 * mean(shares),
            shares.size() > 1 ? 100 * standard_deviation(shares) / std::sqrt(n) : 0};
}

}  // namespace

double win_of(double preference) noexcept {
    return preference == 0 || preference == 1.5 ? 0.5 : preference - 1;
}

Estimate plain_win_rate(std::span<const AlpacaRow> rows) {
    std::vector<double> wins;
    for (const AlpacaRow& row : rows)
        wins.push_back(win_of(row.preference));
    return percentage(wins);
}

Estimate length_controlled_win_rate(std::span<const AlpacaRow> rows,
                                    const LengthControlData& data) {
    if (rows.size() < 2)
        throw UsageError(
            fmt::format("{} judged items are too few to control for length", rows.size()));
    std::vector<double> differences;
    for (const AlpacaRow& row : rows) {
        if (row.position >= data.difficulty.size())
            throw UsageError(fmt::format("item {} has no difficulty: there are {} of them",
                                         row.position, data.difficulty.size()));
        differences.push_back(row.length_1 - row.length_2);
    }
    const double spread = standard_deviation(differences);
    LogisticProblem problem;
    problem.features = 3;
    problem.l1 = 1 / inverse_penalty;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const double z = spread > 0 ? differences[i] / spread : 0;
        const std::array<double, 3> x{std::tanh(z), data.difficulty[rows[i].position], 1};
        problem.add_row(x, win_of(rows[i].preference));
    }
    for (const auto& gamed : data.gamed) {
        const std::array<double, 3> x{std::tanh(gamed.length_difference), gamed.difficulty, 0};
        problem.add_row(x, gamed.preference, gamed_weight);
    }
    const std::vector<double> b = fit_logistic(problem).coefficients;
    std::vector<double> wins;
    for (const AlpacaRow& row : rows)
        wins.push_back(logistic(b[1] * data.difficulty[row.position] + b[2]));
    return percentage(wins);
}

Interval length_controlled_interval(std::span<const AlpacaRow> rows, const LengthControlData& data,
                                    int rounds, std::uint64_t seed) {
    const double estimate = length_controlled_win_rate(rows, data).value;
    const Interval refits =
        bootstrap_interval(rows.size(), rounds, RandomStream(seed, "items", "length control"),
                           [&](std::span<const std::uint32_t> times) {
                               std::vector<AlpacaRow> drawn;
                               for (std::size_t i = 0; i < rows.size(); ++i)
                                   drawn.insert(drawn.end(), times[i], rows[i]);
                               return length_controlled_win_rate(drawn, data).value;
                           });
    return {2 * estimate - refits.upper, 2 * estimate - refits.lower};
}

AlpacaScore score_alpaca_eval(std::span<const AlpacaRow> rows, const LengthControlData* data) {
    AlpacaScore score;
    score.n = rows.size();
    if (rows.empty())
        return score;
    score.plain = plain_win_rate(rows);
    if (data != nullptr && rows.size() > 1)
        score.length_controlled = length_controlled_win_rate(rows, *data);
    double length = 0;
    for (const AlpacaRow& row : rows)
        length += row.length_2;
    score.average_length = static_cast<std::int64_t>(length / static_cast<double>(rows.size()));
    return score;
}

}  // namespace popalign
