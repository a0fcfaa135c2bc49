#pragma once

#include "lm/engine/sampler.hpp"

#include <popalign/lm/engine/sampling_options.hpp>
#include <popalign/record/token.hpp>

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

namespace popalign::lm {

/// Returns whether `draw_tokens` supports these options: none that change a token's weight by its
/// rank or by earlier tokens.
bool draws_in_batches(const SamplingOptions& options);

/// Draws as `draw_token` for each row of `logits` [rows, vocab], on their device; only tokens and
/// log-probabilities are copied to the host. `uniforms` is [rows]. The `forbidden` tokens cannot be
/// drawn in rows whose `forbids` is 1.
std::vector<DrawnToken> draw_tokens(const at::Tensor& logits, const SamplingOptions& options,
                                    const std::vector<double>& uniforms,
                                    std::span<const TokenId> forbidden,
                                    const std::vector<std::int64_t>& forbids);

}  // namespace popalign::lm
