#include "campaign/arithmetic_check.hpp"

#include <gtest/gtest.h>

namespace popalign::campaign {
namespace {

TEST(ArithmeticCheck, SeesNothingButRounding) {
    const ArithmeticError exact = measure_arithmetic_error(at::kDouble, at::kCPU);
    EXPECT_EQ(exact.logits, 0);
    EXPECT_EQ(exact.gradients, 0);
    const ArithmeticError single = measure_arithmetic_error(at::kFloat, at::kCPU);
    const ArithmeticError coarse = measure_arithmetic_error(at::kBFloat16, at::kCPU);
    for (const auto part : {&ArithmeticError::logits, &ArithmeticError::gradients}) {
        EXPECT_GT(single.*part, 1e-9);
        EXPECT_LT(single.*part, 1e-5);
        EXPECT_GT(coarse.*part, 1e-4);
        EXPECT_LT(coarse.*part, 0.15);
    }
}

}  // namespace
}  // namespace popalign::campaign
