#include "preference/pairs/preference_evaluation.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace popalign::preference {
namespace {

TEST(SummariseTest, CountsRewardsAndLogProbabilitiesPerToken) {
    const std::vector<PairScore> scores{
        {0, 0, -10, -10, -12, -11, 5, 10},  // reward +1; -2 a token against -1
        {1, 0, -10, -40, -10, -40, 5, 10},  // a tie in rewards; -2 against -4
    };
    const PreferenceFigures figures = summarise(scores, 0.5);
    EXPECT_EQ(figures.reward_accuracy.successes, 1u);
    EXPECT_EQ(figures.logps_accuracy.successes, 1u);
    EXPECT_EQ(figures.logps_accuracy.n, 2u);
    EXPECT_DOUBLE_EQ(figures.reward_margin, 0.25);
    EXPECT_NEAR(figures.loss, (std::log1p(std::exp(-0.5)) + std::log(2.0)) / 2, 1e-12);
}

TEST(SummariseTest, NothingHasNoFigures) {
    const PreferenceFigures figures = summarise({}, 0.5);
    EXPECT_EQ(figures.reward_accuracy.value(), 0);
    EXPECT_EQ(figures.reward_accuracy.interval().upper, 1);
}

// 8 of 10 is the textbooks' (0.490, 0.943).
TEST(WilsonIntervalTest, EqualsTheFormula) {
    EXPECT_NEAR(wilson_interval(8, 10).lower, 0.4901625, 1e-6);
    EXPECT_NEAR(wilson_interval(8, 10).upper, 0.9433178, 1e-6);
    EXPECT_EQ(wilson_interval(0, 20).lower, 0);
    EXPECT_NEAR(wilson_interval(0, 20).upper, 0.1611252, 1e-6);
}

}  // namespace
}  // namespace popalign::preference
