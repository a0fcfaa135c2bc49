#pragma once

#include <ATen/core/ScalarType.h>
#include <c10/core/Device.h>

namespace popalign::campaign {

/// Error of a small random model in a type and on a device, relative to float64 on the CPU: the
/// norm of the difference over the norm of the reference.
struct ArithmeticError {
    double logits = 0, gradients = 0;
};

/// Measures the error on packed sequences that share prefixes, with a full-attention layer and a
/// windowed one. Takes well under a second. NaN if the device computes NaN.
ArithmeticError measure_arithmetic_error(at::ScalarType dtype, at::Device device);

}  // namespace popalign::campaign
