#include "lm/engine/step_cost.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace popalign::lm {
namespace {

StepCost learn(double fixed, double each, int least, int most) {
    StepCost cost;
    for (int step = 0; step < 400; ++step) {
        const double sequences = least + step * 7 % (most - least + 1);
        cost.add(sequences, fixed + each * sequences);
    }
    return cost;
}

TEST(StepCost, FindsWhatStepsCostBesideTheirSequences) {
    EXPECT_NEAR(learn(0.4, 0.05, 3, 40).overhead(), 8, 1e-6);
    EXPECT_NEAR(learn(0, 0.05, 3, 40).overhead(), 0, 1e-6);
}

TEST(StepCost, SaysNothingWhereItCannotKnow) {
    EXPECT_TRUE(std::isinf(StepCost().overhead()));
    EXPECT_TRUE(std::isinf(learn(0.4, 0.05, 16, 16).overhead())) << "steps of one size";
    EXPECT_TRUE(std::isinf(learn(0.4, 0, 3, 40).overhead())) << "their size makes no difference";
}

TEST(StepCost, ForgetsHowItWas) {
    StepCost cost = learn(5, 0.05, 3, 40);
    for (int step = 0; step < 5000; ++step)
        cost.add(3 + step % 30, 0.4 + 0.05 * (3 + step % 30));
    EXPECT_NEAR(cost.overhead(), 8, 0.1);
}

}  // namespace
}  // namespace popalign::lm
