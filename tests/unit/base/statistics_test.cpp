#include <popalign/base/statistics.hpp>

#include <gtest/gtest.h>

namespace popalign {
namespace {

TEST(Wilson, MatchesKnownIntervals) {
    // statsmodels.stats.proportion.proportion_confint(k, n, method="wilson")
    const Interval half = wilson_interval(50, 100);
    EXPECT_NEAR(half.lower, 0.4038315, 1e-6);
    EXPECT_NEAR(half.upper, 0.5961685, 1e-6);
    const Interval none = wilson_interval(0, 10);
    EXPECT_EQ(none.lower, 0.0);
    EXPECT_NEAR(none.upper, 0.2775328, 1e-6);
    EXPECT_EQ(wilson_interval(0, 0).upper, 1.0);
}

}  // namespace
}  // namespace popalign
