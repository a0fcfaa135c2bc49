#include <popalign/base/error.hpp>
#include <popalign/base/logistic_regression.hpp>
#include <popalign/base/random.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

namespace popalign {
namespace {

LogisticProblem random_problem(std::uint64_t seed, std::size_t rows, std::size_t features,
                               double l1) {
    const RandomStream stream(seed, "logistic", "test");
    LogisticProblem problem;
    problem.features = features;
    problem.l1 = l1;
    std::uint64_t draw = 0;
    for (std::size_t i = 0; i < rows; ++i) {
        std::vector<double> x;
        for (std::size_t j = 0; j < features; ++j)
            x.push_back(4 * stream.uniform(draw++) - 2);
        const double p = logistic(x[0] - 0.5 * x[1]);
        const double target = stream.uniform(draw++) < p ? 1 : 0.1;
        problem.add_row(x, target, stream.uniform(draw++) + 0.1);
    }
    return problem;
}

/// The gradient of the smooth part, computed afresh.
std::vector<double> gradient(const LogisticProblem& problem, const std::vector<double>& b) {
    std::vector<double> g(problem.features, 0);
    for (std::size_t i = 0; i < problem.target.size(); ++i) {
        double z = 0;
        for (std::size_t j = 0; j < problem.features; ++j)
            z += problem.x[i * problem.features + j] * b[j];
        for (std::size_t j = 0; j < problem.features; ++j)
            g[j] += problem.weight[i] * (logistic(z) - problem.target[i]) *
                    problem.x[i * problem.features + j];
    }
    return g;
}

TEST(LogisticRegression, ConvergesToTheOptimalityConditions) {
    for (const double l1 : {0.0, 0.1, 5.0, 1000.0})
        for (std::uint64_t seed = 0; seed < 10; ++seed) {
            const LogisticProblem problem = random_problem(seed, 200, 6, l1);
            const LogisticFit fit = fit_logistic(problem);
            EXPECT_LE(fit.violation, 1e-12);
            EXPECT_LE(fit.iterations, 12);
            const auto g = gradient(problem, fit.coefficients);
            for (std::size_t j = 0; j < g.size(); ++j) {
                const double b = fit.coefficients[j];
                const double beyond = b != 0 ? std::abs(g[j] + std::copysign(l1, b))
                                             : std::max(0.0, std::abs(g[j]) - l1);
                EXPECT_LE(beyond, 1e-8);
            }
            if (l1 == 1000) {
                EXPECT_EQ(fit.coefficients, std::vector<double>(6, 0.0));
            }
        }
}

TEST(LogisticRegression, KnowsTheClosedFormOfOneFeature) {
    LogisticProblem problem;
    problem.features = 1;
    const std::array<double, 1> one{1};
    problem.add_row(one, 1, 3);
    problem.add_row(one, 0, 1);
    EXPECT_NEAR(fit_logistic(problem).coefficients[0], std::log(3), 1e-12);
    problem.l1 = 1;  // 4 logistic(b) - 3 + 1 = 0
    EXPECT_NEAR(fit_logistic(problem).coefficients[0], 0, 1e-12);
}

TEST(LogisticRegression, GrowsUntilSeparatedRowsAreCertain) {
    LogisticProblem problem;
    problem.features = 1;
    const std::array<double, 1> up{1}, down{-1};
    problem.add_row(up, 1);
    problem.add_row(down, 0);
    const LogisticFit fit = fit_logistic(problem);
    EXPECT_GT(fit.coefficients[0], 20);
    EXPECT_LE(fit.violation, 1e-12);
}

TEST(LogisticRegression, TakesFeaturesThatRepeatOrAreEmpty) {
    LogisticProblem problem = random_problem(3, 50, 2, 0.1);
    LogisticProblem wide;
    wide.features = 4;
    wide.l1 = problem.l1;
    for (std::size_t i = 0; i < 50; ++i) {
        const std::array<double, 4> x{problem.x[2 * i], problem.x[2 * i + 1], problem.x[2 * i], 0};
        wide.add_row(x, problem.target[i], problem.weight[i]);
    }
    const auto narrow = fit_logistic(problem).coefficients;
    const auto fitted = fit_logistic(wide).coefficients;
    EXPECT_NEAR(fitted[0] + fitted[2], narrow[0], 1e-7);
    EXPECT_NEAR(fitted[1], narrow[1], 1e-7);
    EXPECT_EQ(fitted[3], 0);
}

TEST(LogisticRegression, InfluencesAreWhatARowMoreChanges) {
    LogisticProblem problem;
    problem.features = 3;
    problem.l1 = 0.3;
    for (int i = 0; i < 40; ++i) {
        const std::array<double, 3> x{std::sin(3.0 * i), std::cos(5.0 * i), 1};
        problem.add_row(x, (i * 7 % 10) / 9.0, 1 + i % 3);
    }
    const std::vector<double> direction{0.5, -2, 1};
    const auto along = [&](const LogisticProblem& of) {
        const auto b = fit_logistic(of).coefficients;
        return std::inner_product(b.begin(), b.end(), direction.begin(), 0.0);
    };
    const auto influences = row_influences(problem, fit_logistic(problem).coefficients, direction);
    ASSERT_EQ(influences.size(), 40U);
    double sum = 0;
    for (const std::size_t i : {0U, 17U, 39U}) {
        constexpr double share = 1e-4;  // of a row's weight
        LogisticProblem more = problem, less = problem;
        more.weight[i] *= 1 + share;
        less.weight[i] *= 1 - share;
        EXPECT_NEAR(influences[i], (along(more) - along(less)) / (2 * share), 1e-6) << i;
        sum += std::abs(influences[i]);
    }
    EXPECT_GT(sum, 1e-3);
}

TEST(LogisticRegression, SaysWhenTheRowsAreNoNumbers) {
    LogisticProblem problem;
    problem.features = 1;
    const std::array<double, 1> bad{std::numeric_limits<double>::quiet_NaN()};
    problem.add_row(bad, 1);
    EXPECT_THROW(fit_logistic(problem), Error);
}

}  // namespace
}  // namespace popalign
