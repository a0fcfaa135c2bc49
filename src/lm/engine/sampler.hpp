#pragma once

#include <popalign/lm/engine/sampling_options.hpp>
#include <popalign/record/token.hpp>

#include <span>

namespace popalign::lm {

/// Inputs of a draw other than the logits.
struct DrawContext {
    std::span<const TokenId> prompt = {}, generated = {};  ///< for the repetition penalty
    std::span<const TokenId> forbidden = {};               ///< tokens that cannot be drawn
};

/// Message of the error for logits that are not finite.
inline constexpr const char* logits_not_finite =
    "the model's logits are not finite; are its weights damaged, or is bfloat16 too coarse for it?";

struct DrawnToken {
    TokenId token = 0;
    double log_probability = 0;  ///< under the model itself, before any option [nat]
};

/// Draws by inversion of the cumulative distribution at `uniform` in [0, 1): one random number a
/// token. At the limits of top-k and top-p equal logits go by id, lower first. Throws Error where
/// the logits are not finite.
DrawnToken draw_token(std::span<const float> logits, const SamplingOptions& options, double uniform,
                      const DrawContext& context = {});

}  // namespace popalign::lm
