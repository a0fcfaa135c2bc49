#include "preference/pairs/pair_statistics.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace popalign::preference {
namespace {

const std::vector<std::string> names{"prefix", "refine", "unused"};

PairStatistics three_pairs() {
    PairStatistics statistics(3);
    statistics.add({0, 1, 0.5, 0.3, 0.1, -10, -20, 7});
    statistics.add({0, 1, 1.0, 0.2, 0.2, -30, -40, 8});
    statistics.add({1, 2, 3.0, -1.0, 0.5, -50, -60, 9});
    return statistics;
}

TEST(PairStatisticsTest, MeansAreOverPairsAndTiesAreWrong) {
    const auto metrics = three_pairs().metrics(names);
    EXPECT_DOUBLE_EQ(metrics.at("loss"), 2.5);  // with the strategies' weights
    EXPECT_DOUBLE_EQ(metrics.at("rewards/accuracies"), 1.0 / 3);
    EXPECT_DOUBLE_EQ(metrics.at("logps/chosen"), -30);
    EXPECT_DOUBLE_EQ(metrics.at("logps/rejected"), -40);
    EXPECT_NEAR(metrics.at("rewards/margins"), (0.2 + 0 - 1.5) / 3, 1e-15);
    EXPECT_DOUBLE_EQ(metrics.at("strategy/prefix/rewards/accuracies"), 0.5);
    EXPECT_DOUBLE_EQ(metrics.at("strategy/refine/loss"), 3);
    EXPECT_DOUBLE_EQ(metrics.at("strategy/refine/rewards/margins"), -1.5);
}

TEST(PairStatisticsTest, NamesAreThoseOfTheTrainersKind) {
    const auto likelihood = three_pairs().metrics(names, MetricNames::likelihood);
    EXPECT_DOUBLE_EQ(likelihood.at("logps/chosen"), -30);
    EXPECT_FALSE(likelihood.contains("logps/rejected"));
    EXPECT_FALSE(likelihood.contains("rewards/margins"));
    const auto score = three_pairs().metrics(names, MetricNames::score);
    EXPECT_DOUBLE_EQ(score.at("accuracy"), 1.0 / 3);
    EXPECT_NEAR(score.at("margin"), (0.2 + 0 - 1.5) / 3, 1e-15);
    EXPECT_NEAR(score.at("mean_reward"), (0.3 + 0.1 + 0.4 - 0.5) / 6, 1e-15);
    EXPECT_DOUBLE_EQ(score.at("strategy/refine/accuracy"), 0);
    EXPECT_FALSE(score.contains("logps/chosen"));
}

TEST(PairStatisticsTest, StrategiesWithoutPairsHaveNoLine) {
    for (const auto& [name, value] : three_pairs().metrics(names))
        EXPECT_EQ(name.find("unused"), std::string::npos) << name;
}

TEST(PairStatisticsTest, PartsAddUpToTheWhole) {
    PairStatistics whole = three_pairs(), sum(3);
    PairStatistics first(3), second(3);
    first.add({0, 1, 0.5, 0.3, 0.1, -10, -20, 7});
    second.add({0, 1, 1.0, 0.2, 0.2, -30, -40, 8});
    second.add({1, 2, 3.0, -1.0, 0.5, -50, -60, 9});
    sum.merge(first.sums());
    sum.merge(second.sums());
    EXPECT_EQ(sum.metrics(names), whole.metrics(names));
    EXPECT_EQ(sum.tokens(), 24);
}

}  // namespace
}  // namespace popalign::preference
