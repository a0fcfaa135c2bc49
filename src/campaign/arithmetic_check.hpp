#pragma once

#include <ATen/core/ScalarType.h>
#include <c10/core/Device.h>

namespace popalign::campaign {

/// How far a small random model in a type and on a device is from float64 on the CPU: the distance
/// by the norm, in parts of the whole.
struct ArithmeticError {
    double logits = 0, gradients = 0;
};

/// Of packed sequences that share prefixes, in a layer that sees all and in one with a window.
/// Takes well under a second. NaN where the device computes NaN.
ArithmeticError measure_arithmetic_error(at::ScalarType dtype, at::Device device);

}  // namespace popalign::campaign
