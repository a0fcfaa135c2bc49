#include <popalign/base/error.hpp>
#include <popalign/lm/generator.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace popalign {
namespace {

/// Draws many tokens and compares their frequencies with `expected` (zero: must never come).
void expect_distribution(const std::vector<float>& weights, const SamplingOptions& options,
                         const std::vector<double>& expected) {
    constexpr int draws = 60000;
    std::vector<int> counts(weights.size(), 0);
    const RandomStream stream(11, "sampler", "test");
    for (int i = 0; i < draws; ++i)
        ++counts[static_cast<std::size_t>(
            draw_token(weights, options, stream.uniform(static_cast<std::uint64_t>(i))))];
    double chi_squared = 0;
    int degrees = -1;
    for (std::size_t i = 0; i < weights.size(); ++i) {
        if (expected[i] == 0) {
            ASSERT_EQ(counts[i], 0) << "token " << i << " cannot be drawn";
            continue;
        }
        ++degrees;
        chi_squared += std::pow(counts[i] - draws * expected[i], 2) / (draws * expected[i]);
    }
    if (degrees == 0)
        return;
    // The 99.9 % quantile by Wilson and Hilferty's approximation.
    const double k = degrees;
    EXPECT_LT(chi_squared, k * std::pow(1 - 2 / (9 * k) + 3.09 * std::sqrt(2 / (9 * k)), 3));
}

std::vector<double> normalised(std::vector<double> values) {
    const double total = std::accumulate(values.begin(), values.end(), 0.0);
    for (double& value : values)
        value /= total;
    return values;
}

TEST(Sampler, DrawsTheWholeDistribution) {
    std::vector<float> weights(2000, 0.0F);
    std::vector<double> expected(2000, 0.0);
    for (std::size_t i = 3; i < weights.size(); i += 37)
        expected[i] = weights[i] = static_cast<float>(1 + i % 7);
    expect_distribution(weights, {}, normalised(expected));
}

TEST(Sampler, TopKKeepsTheHeaviest) {
    expect_distribution({1, 5, 2, 4, 3}, {.top_k = 3}, normalised({0, 5, 0, 4, 3}));
    expect_distribution({2, 2, 2, 2}, {.top_k = 2}, {0.5, 0.5, 0, 0});
}

TEST(Sampler, TopPKeepsTheShortestHeadThatReachesIt) {
    expect_distribution({1, 5, 2, 4}, {.top_p = 0.7}, normalised({0, 5, 0, 4}));
    expect_distribution({1, 5, 2, 4}, {.top_p = 1e-9}, {0, 1, 0, 0});
    // Of the 9 that top-k leaves (5 and a 4), the 5 alone reaches half.
    expect_distribution({1, 5, 1, 4, 4}, {.top_k = 2, .top_p = 0.5}, {0, 1, 0, 0, 0});
    std::vector<float> flat(1000, 1.0F);  // a head longer than the first guess
    std::vector<double> half(1000, 0.0);
    std::fill(half.begin(), half.begin() + 500, 1.0 / 500);
    expect_distribution(flat, {.top_p = 0.5}, half);
}

TEST(Sampler, GreedyTakesTheLargestAndTheEndsOfTheUnitIntervalAreSafe) {
    const std::vector<float> weights{0, 0.25F, 0.5F, 0.25F, 0};
    EXPECT_EQ(draw_token(weights, {.temperature = 0}, 0.9), 2);
    EXPECT_EQ(draw_token(weights, {}, 0.0), 1);
    EXPECT_EQ(draw_token(weights, {}, std::nextafter(1.0, 0.0)), 3);
}

TEST(SamplingOptions, RefuseNonsense) {
    EXPECT_THROW((SamplingOptions{.temperature = -1}.validate()), UsageError);
    EXPECT_THROW((SamplingOptions{.top_k = -1}.validate()), UsageError);
    EXPECT_THROW((SamplingOptions{.top_p = 0}.validate()), UsageError);
}

}  // namespace
}  // namespace popalign
