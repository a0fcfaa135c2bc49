#pragma once

#include "support/world.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace popalign::test {

/// This rank's GPU: one a rank, for NCCL takes no two ranks on one.
inline at::Device gpu() {
    return {at::kCUDA, static_cast<at::DeviceIndex>(world().rank())};
}

/// By the norm, in parts of what is expected.
inline double distance(const at::Tensor& found, const at::Tensor& expected) {
    return ((found - expected).norm() / expected.norm()).item<double>();
}

/// Leaves the test, with the reason, where there are fewer GPUs than ranks.
#define POPALIGN_REQUIRE_GPUS()                                                                  \
    if (static_cast<int>(at::getNumGPUs()) < ::popalign::test::world().size())                   \
    GTEST_SKIP() << "needs " << ::popalign::test::world().size() << " GPU(s), this machine has " \
                 << at::getNumGPUs()

}  // namespace popalign::test
