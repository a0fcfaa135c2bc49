#pragma once

#include <ATen/core/Tensor.h>

namespace popalign::lm {

/// Which code does the elementwise parts of a layer. They differ in rounding: a reference model
/// must be computed as the model in training is.
enum class ElementwiseImpl {
    libtorch,     ///< any device and type, differentiable
    row_kernels,  ///< `row_kernels.hpp`, one pass over the data: float32 on the CPU, for inference
};

bool fits_row_kernels(const at::Tensor& x);

/// `x` [rows, size], `weight` [size].
at::Tensor rms_norm(ElementwiseImpl arithmetic, const at::Tensor& x, const at::Tensor& weight,
                    double epsilon);
/// Rotary embedding in the half-split layout of HF checkpoints (Su et al. 2021, eq. 34): `x` [rows,
/// heads, dim], `cosine` and `sine` [rows, 1, dim / 2].
at::Tensor rotate(ElementwiseImpl arithmetic, const at::Tensor& x, const at::Tensor& cosine,
                  const at::Tensor& sine);
/// `silu(gate) * up`, both [rows, size].
at::Tensor silu_multiply(ElementwiseImpl arithmetic, const at::Tensor& gate, const at::Tensor& up);

}  // namespace popalign::lm
