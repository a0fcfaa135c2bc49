#include "preference/pairs/reward_evaluation.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace popalign::preference {
namespace {

double probability(double difference) {
    return 1 / (1 + std::exp(-difference));
}

TEST(RewardEvaluationTest, FiguresEqualTheirFormulas) {
    const std::vector<ScoredPair> pairs{{0, 0, 2, 1}, {1, 0, 0, 3}, {2, 0, 1, 1}};
    const RewardFigures figures = summarise(pairs);
    EXPECT_EQ(figures.accuracy.successes, 1u);  // the tie is wrong
    EXPECT_EQ(figures.accuracy.n, 3u);
    EXPECT_NEAR(figures.margin, (1 - 3 + 0) / 3.0, 1e-15);
    const double right = probability(1), wrong = probability(-3);
    EXPECT_NEAR(figures.log_loss, -(std::log(right) + std::log(wrong) + std::log(0.5)) / 3, 1e-14);
    EXPECT_NEAR(figures.brier, (std::pow(1 - right, 2) + std::pow(1 - wrong, 2) + 0.25) / 3, 1e-14);
    // Each stands in a bin of its own: 0.73 right, 0.95 wrong, 0.5 wrong.
    EXPECT_NEAR(figures.calibration_error, ((1 - right) + probability(3) + 0.5) / 3, 1e-14);
}

TEST(RewardEvaluationTest, AConfidenceThatHoldsIsCalibrated) {
    std::vector<ScoredPair> pairs(100);
    const double difference = std::log(3.0);  // a confidence of 0.75
    for (std::size_t i = 0; i < 100; ++i)
        (i < 75 ? pairs[i].chosen : pairs[i].rejected) = difference;
    EXPECT_NEAR(summarise(pairs).calibration_error, 0, 1e-12);
}

TEST(RewardEvaluationTest, ExtremesStayFinite) {
    const std::vector<ScoredPair> pairs{{0, 0, 1e4, -1e4}, {1, 0, -1e4, 1e4}};
    EXPECT_NEAR(summarise(pairs).log_loss, 1e4, 1e-9);
    EXPECT_NEAR(summarise(pairs).brier, 0.5, 1e-15);
    EXPECT_EQ(summarise({}).calibration_error, 0);
}

}  // namespace
}  // namespace popalign::preference
