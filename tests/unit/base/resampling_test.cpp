#include <popalign/base/resampling.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

namespace popalign {
namespace {

TEST(Quantile, InterpolatesAsNumpyDoes) {
    EXPECT_DOUBLE_EQ(quantile({3, 1, 2, 4}, 0.5), 2.5);
    EXPECT_DOUBLE_EQ(quantile({1, 2}, 0.975), 1.975);
    EXPECT_DOUBLE_EQ(quantile({7}, 0.1), 7);
    EXPECT_TRUE(std::isnan(quantile({}, 0.5)));
}

TEST(Bootstrap, HasTheSpreadOfAMean) {
    const RandomStream stream(1, "test", "bootstrap");
    const auto mean = [](std::span<const std::uint32_t> times) {
        double ones = 0;  // the first half of the units
        for (std::size_t i = 0; i < times.size() / 2; ++i)
            ones += times[i];
        return ones / static_cast<double>(times.size());
    };
    const Interval interval = bootstrap_interval(400, 2000, stream, mean);
    EXPECT_NEAR(interval.lower, 0.5 - 1.96 * 0.025, 0.005);
    EXPECT_NEAR(interval.upper, 0.5 + 1.96 * 0.025, 0.005);
    const Interval again = bootstrap_interval(400, 2000, stream, mean);
    EXPECT_EQ(interval.lower, again.lower);
}

TEST(Agreement, IsCohensKappa) {
    std::vector<std::pair<int, int>> labels;
    // Cohen's own kind of table: 20 and 15 alike, 5 and 10 not: kappa 0.4.
    for (const auto& [count, a, b] : {std::tuple{20, 1, 1}, {5, 1, 0}, {10, 0, 1}, {15, 0, 0}})
        labels.insert(labels.end(), static_cast<std::size_t>(count), {a, b});
    const Agreement agreement = agreement_of(labels);
    EXPECT_DOUBLE_EQ(agreement.share, 0.7);
    EXPECT_DOUBLE_EQ(agreement.kappa, 0.4);
    const std::vector<std::pair<int, int>> same(5, {2, 2});
    EXPECT_EQ(agreement_of(same).kappa, 1);
    EXPECT_EQ(agreement_of({}).n, 0U);
}

}  // namespace
}  // namespace popalign
