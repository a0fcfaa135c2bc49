#include "preference/ppo/ppo_formulas.hpp"

#include <popalign/base/random.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>

namespace popalign::preference {
namespace {

std::vector<double> draws(std::size_t count, std::string_view purpose) {
    const RandomStream stream(3, "advantage", purpose);
    std::vector<double> values;
    for (std::size_t i = 0; i < count; ++i)
        values.push_back(2 * stream.uniform(i) - 1);
    return values;
}

/// The definition: a sum over all later errors, discounted.
double advantage_at(std::size_t t, const std::vector<double>& rewards,
                    const std::vector<double>& values, double gamma, double lambda) {
    double sum = 0;
    for (std::size_t later = t; later < rewards.size(); ++later) {
        const double next = later + 1 < values.size() ? values[later + 1] : 0;
        sum += std::pow(gamma * lambda, static_cast<double>(later - t)) *
               (rewards[later] + gamma * next - values[later]);
    }
    return sum;
}

TEST(AdvantageTest, EqualsTheDefinition) {
    for (const std::size_t count : {1, 2, 17})
        for (const double gamma : {0.0, 0.9, 1.0})
            for (const double lambda : {0.0, 0.5, 0.95, 1.0}) {
                const auto rewards = draws(count, "rewards"), values = draws(count, "values");
                const Advantages found = estimate_advantages(rewards, values, gamma, lambda);
                for (std::size_t t = 0; t < count; ++t) {
                    const double expected = advantage_at(t, rewards, values, gamma, lambda);
                    EXPECT_NEAR(found.advantages[t], expected, 1e-12);
                    EXPECT_NEAR(found.returns[t], expected + values[t], 1e-12);
                }
            }
}

TEST(AdvantageTest, WithoutDiscountsAReturnIsAllThatIsStillToCome) {
    const auto rewards = draws(9, "rewards"), values = draws(9, "values");
    const Advantages found = estimate_advantages(rewards, values, 1, 1);
    for (std::size_t t = 0; t < 9; ++t)
        EXPECT_NEAR(
            found.returns[t],
            std::accumulate(rewards.begin() + static_cast<std::ptrdiff_t>(t), rewards.end(), 0.0),
            1e-12);
}

TEST(TokenRewardsTest, TheScoreComesWithTheLastTokenAndDivergenceCostsEverywhere) {
    const std::vector<double> own{-1, -2, -3}, reference{-1.5, -2, -2};
    const auto rewards = token_rewards(own, reference, 4, 0.1);
    EXPECT_DOUBLE_EQ(rewards[0], -0.05);
    EXPECT_DOUBLE_EQ(rewards[1], 0);
    EXPECT_DOUBLE_EQ(rewards[2], 4.1);
}

TEST(WhitenTest, GivesVarianceOneAroundZeroOrTheOldMean) {
    for (const Mean mean : {Mean::removed, Mean::kept}) {
        auto values = draws(40, "whiten");
        const double before = std::accumulate(values.begin(), values.end(), 0.0) / 40;
        whiten(values, mean);
        const double after = std::accumulate(values.begin(), values.end(), 0.0) / 40;
        EXPECT_NEAR(after, mean == Mean::kept ? before : 0, 1e-12);
        double squares = 0;
        for (const double value : values)
            squares += (value - after) * (value - after);
        EXPECT_NEAR(squares / 39, 1, 1e-6);
    }
    std::vector<double> equal(5, 3.0), single{2.0};
    whiten(equal, Mean::removed);
    whiten(single, Mean::removed);
    EXPECT_EQ(equal, std::vector<double>(5, 0.0));
    EXPECT_EQ(single, std::vector<double>{2.0});
}

TEST(KlCoefficientTest, RisesAboveTheTargetAndFallsBelowByAtMostAFifth) {
    EXPECT_DOUBLE_EQ(adapted_kl_coefficient(0.1, 6, 6, 100, 1000), 0.1);
    EXPECT_DOUBLE_EQ(adapted_kl_coefficient(0.1, 6.6, 6, 100, 1000), 0.1 * 1.01);
    EXPECT_DOUBLE_EQ(adapted_kl_coefficient(0.1, 60, 6, 1000, 1000), 0.1 * 1.2);
    EXPECT_DOUBLE_EQ(adapted_kl_coefficient(0.1, 0, 6, 1000, 1000), 0.1 * 0.8);
}

void expect_slope(const std::function<TokenLoss(double)>& loss, double at) {
    constexpr double h = 1e-6;
    EXPECT_NEAR(loss(at).slope, (loss(at + h).loss - loss(at - h).loss) / (2 * h), 1e-6);
}

TEST(PolicyLossTest, SlopesAreThoseOfTheLoss) {
    for (const double advantage : {-1.3, 0.7})
        for (const double log_ratio : {-0.9, -0.1, 0.0, 0.1, 0.9})
            expect_slope([&](double logp) { return policy_loss(logp, -2, advantage, 0.2); },
                         log_ratio - 2);
}

TEST(PolicyLossTest, MovesNoFurtherThanTheClipRangeInTheDirectionThatPays) {
    EXPECT_TRUE(policy_loss(-1, -2, 1, 0.2).clipped);    // already much likelier, and good
    EXPECT_TRUE(policy_loss(-3, -2, -1, 0.2).clipped);   // already much less likely, and bad
    EXPECT_FALSE(policy_loss(-3, -2, 1, 0.2).clipped);   // good but became less likely: go back
    EXPECT_FALSE(policy_loss(-1, -2, -1, 0.2).clipped);  // bad but became likelier
    EXPECT_DOUBLE_EQ(policy_loss(-2, -2, 0.5, 0.2).loss, -0.5);
}

TEST(ValueLossTest, SlopesAreThoseOfTheLoss) {
    for (const double value : {-2.0, -0.1, 0.05, 0.15, 0.9, 3.0})
        expect_slope([&](double v) { return value_loss(v, 0, 1, 0.2); }, value);
    EXPECT_TRUE(value_loss(0.9, 0, 1, 0.2).clipped);
    EXPECT_FALSE(value_loss(-0.9, 0, 1, 0.2).clipped);
}

}  // namespace
}  // namespace popalign::preference
