#pragma once

#include <cstddef>

/// Loops over float32 rows that only training needs; compiled as `row_kernels.hpp` is.
namespace popalign::lm::kernel {

/// Gradients of `rms_norm`: that of `x` replaces `output`, that of `weight` is added to
/// `weight_gradient`; `gradient` is that of the norm's output.
void rms_norm_gradient(const float* x, const float* weight, const float* gradient,
                       std::size_t count, float epsilon, float* output, float* weight_gradient);

void silu_multiply_gradient(const float* gate, const float* up, const float* gradient,
                            std::size_t count, float* gate_gradient, float* up_gradient);

/// `x = factor * exp(x - shift)`.
void scaled_exponentials(float* x, std::size_t count, float shift, float factor);

/// `x = exp(x - shift)`; their sum is returned.
float exponentials_in_place(float* x, std::size_t count, float shift);

/// One key over many queries: `scores` become the attention probabilities `p = exp(scores -
/// logsumexp)`, and `products` (the value times each output's gradient) become the gradient `p *
/// (products - means)` of the scores.
void attention_gradient(float* scores, float* products, const float* logsumexp, const float* means,
                        std::size_t count);

}  // namespace popalign::lm::kernel
