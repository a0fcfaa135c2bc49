#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace popalign::lm {

struct SegmentForest;

/// Differentiable parts of a transformer with derivatives of our own. Gradients of weights are
/// added to their `.grad` where there is one. What does not fit the kernels (another type or
/// device) is computed by libtorch, with the same derivatives.
namespace training {

/// Whether the kernels can compute with `x`: float32 on the CPU.
bool uses_own_kernels(const at::Tensor& x);

/// `x` [rows, in] times the transpose of each weight [out, in], plus its bias (undefined: none).
std::vector<at::Tensor> project(const at::Tensor& x, at::TensorList weights, at::TensorList biases);

/// Rows of `weight` [vocabulary, hidden].
at::Tensor embed(const at::Tensor& weight, const at::Tensor& tokens);

/// The following want tensors that fit. `x` [rows, size], `weight` [size].
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);
/// `x` [rows, heads, dim], `cosine` and `sine` [rows, 1, dim / 2].
at::Tensor rotate(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine);
at::Tensor silu_multiply(const at::Tensor& gate, const at::Tensor& up);

/// Attention over a forest: `query` [rows, heads, dim], `key` and `value` [rows, kv_heads, dim];
/// `window` as in AttentionLayer. [rows, heads * dim].
at::Tensor attend(const SegmentForest& forest, std::int64_t window, const at::Tensor& query,
                  const at::Tensor& key, const at::Tensor& value);

/// log P(target) [rows] of `hidden` [rows, hidden] under the softmax over `head` [vocabulary,
/// hidden]: float32 or better, in blocks of columns, which the backward pass makes anew.
at::Tensor target_log_probabilities(const at::Tensor& hidden, const at::Tensor& head,
                                    const at::Tensor& targets);

}  // namespace training
}  // namespace popalign::lm
