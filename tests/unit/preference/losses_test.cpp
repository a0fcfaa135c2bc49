#include <popalign/base/error.hpp>
#include <popalign/preference/losses.hpp>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace popalign {
namespace {

at::Tensor values(std::vector<double> numbers) {
    return at::tensor(numbers, at::kDouble);
}

TEST(DpoSigmoidLossTest, EqualsTheFormula) {
    const auto losses = dpo_sigmoid_loss(
        {values({-10, -3}), values({-12, -1}), values({-11, -2}), values({-11.5, -4})}, 0.5);
    // beta * ((pi_c - ref_c) - (pi_r - ref_r)): 0.5 * (1 + 0.5), 0.5 * (-1 - 3).
    EXPECT_NEAR(losses.losses[0].item<double>(), std::log1p(std::exp(-0.75)), 1e-14);
    EXPECT_NEAR(losses.losses[1].item<double>(), std::log1p(std::exp(2.0)), 1e-14);
    EXPECT_DOUBLE_EQ(losses.chosen_rewards[0].item<double>(), 0.5);
    EXPECT_DOUBLE_EQ(losses.rejected_rewards[1].item<double>(), 1.5);
}

TEST(DpoSigmoidLossTest, IsLn2WithoutMarginAndStaysFinite) {
    const auto zero = values({0});
    EXPECT_DOUBLE_EQ(dpo_sigmoid_loss({zero, zero, zero, zero}, 0.1).losses.item<double>(),
                     std::numbers::ln2);
    EXPECT_NEAR(dpo_sigmoid_loss({values({-1e5}), zero, zero, zero}, 0.1).losses.item<double>(),
                1e4, 1e-6);
    EXPECT_EQ(dpo_sigmoid_loss({zero, values({-1e5}), zero, zero}, 0.1).losses.item<double>(), 0);
}

TEST(PairObjectiveTest, UnknownNamesAreRefusedWithTheKnownOnes) {
    EXPECT_EQ(pair_objective("dpo"), &dpo_sigmoid_loss);
    try {
        pair_objective("dopo");
        FAIL();
    } catch (const UsageError& error) {
        EXPECT_NE(std::string(error.what()).find("use one of: dpo"), std::string::npos);
    }
}

}  // namespace
}  // namespace popalign
