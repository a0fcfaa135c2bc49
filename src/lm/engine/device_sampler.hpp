#pragma once

#include "lm/engine/sampler.hpp"

#include <popalign/lm/engine/sampling_options.hpp>
#include <popalign/record/token.hpp>

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

namespace popalign::lm {

/// Whether `draw_tokens` can draw with these options: those that change no token's weight by its
/// rank or by what was generated.
bool draws_in_batches(const SamplingOptions& options);

/// As `draw_token` of each row of `logits` [rows, vocab], computed where they are; only tokens and
/// log-probabilities come to the host. `uniforms` [rows]; the `forbidden` tokens cannot be drawn in
/// rows of which `forbids` is 1.
std::vector<DrawnToken> draw_tokens(const at::Tensor& logits, const SamplingOptions& options,
                                    const std::vector<double>& uniforms,
                                    std::span<const TokenId> forbidden,
                                    const std::vector<std::int64_t>& forbids);

}  // namespace popalign::lm
