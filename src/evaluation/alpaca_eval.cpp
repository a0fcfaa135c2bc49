#include <popalign/base/error.hpp>
#include <popalign/base/logistic_regression.hpp>
#include <popalign/evaluation/alpaca_eval.hpp>

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <numeric>

namespace popalign::evaluation {
namespace {

constexpr double inverse_penalty = 10;  // C
constexpr double gamed_weight = 0.1;

double mean(std::span<const double> values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// Standard deviation with n - 1 degrees of freedom.
double standard_deviation(std::span<const double> values) {
    const double centre = mean(values);
    double sum = 0;
    for (const double value : values)
        sum += (value - centre) * (value - centre);
    return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

/// Converts shares to an estimate [%].
Estimate percentage(std::span<const double> shares) {
    const auto n = static_cast<double>(shares.size());
    return {100 * mean(shares),
            shares.size() > 1 ? 100 * standard_deviation(shares) / std::sqrt(n) : 0};
}

/// The regression, with its prediction for each row at no length difference.
struct LengthControl {
    LogisticProblem problem;  ///< the rows first
    std::vector<double> coefficients, wins;
};

/// Differences of the answers' lengths, standardised as AlpacaEval does.
std::vector<double> standardised_differences(std::span<const AlpacaRow> rows) {
    std::vector<double> differences;
    for (const AlpacaRow& row : rows)
        differences.push_back(row.length_1 - row.length_2);
    const double spread = standard_deviation(differences);
    for (double& difference : differences)
        difference = spread > 0 ? difference / spread : 0;
    return differences;
}

LengthControl fit_length_control(std::span<const AlpacaRow> rows, const LengthControlData& data) {
    if (rows.size() < 2)
        throw UsageError(
            fmt::format("{} judged items are too few to control for length", rows.size()));
    for (const AlpacaRow& row : rows)
        if (row.position >= data.difficulty.size())
            throw UsageError(fmt::format("item {} has no difficulty: there are {} of them",
                                         row.position, data.difficulty.size()));
    const auto differences = standardised_differences(rows);
    LengthControl result;
    LogisticProblem& problem = result.problem;
    problem.features = 3;
    problem.l1 = 1 / inverse_penalty;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const std::array<double, 3> x{std::tanh(differences[i]), data.difficulty[rows[i].position],
                                      1};
        problem.add_row(x, win_of(rows[i].preference));
    }
    for (const auto& gamed : data.gamed) {
        const std::array<double, 3> x{std::tanh(gamed.length_difference), gamed.difficulty, 0};
        problem.add_row(x, gamed.preference, gamed_weight);
    }
    result.coefficients = fit_logistic(problem).coefficients;
    for (const AlpacaRow& row : rows)
        result.wins.push_back(logistic(result.coefficients[1] * data.difficulty[row.position] +
                                       result.coefficients[2]));
    return result;
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
    return percentage(fit_length_control(rows, data).wins);
}

Interval length_controlled_interval(std::span<const AlpacaRow> rows,
                                    const LengthControlData& data) {
    const LengthControl fit = fit_length_control(rows, data);
    const auto n = static_cast<double>(rows.size());
    const double value = mean(fit.wins);
    std::array<double, 3> slope{};  // of the mean over the coefficients
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const double share = fit.wins[i] * (1 - fit.wins[i]) / n;
        slope[1] += share * data.difficulty[rows[i].position];
        slope[2] += share;
    }
    std::vector<double> influences = row_influences(fit.problem, fit.coefficients, slope);
    influences.resize(rows.size());  // the gamed rows are the same for everyone
    for (std::size_t i = 0; i < rows.size(); ++i)
        influences[i] += (fit.wins[i] - value) / n;
    const double curve = value * (1 - value);
    const double centre = std::log(value / (1 - value));
    const double reach = 1.96 * standard_deviation(influences) * std::sqrt(n) / curve;
    return {100 * logistic(centre - reach), 100 * logistic(centre + reach)};
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

}  // namespace popalign::evaluation
