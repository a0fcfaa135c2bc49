#pragma once

#include <popalign/lm/text/tokenizer.hpp>

#include <cstdint>
#include <span>

namespace popalign::lm {

/// How a token is chosen from the model's distribution. Order, as in `transformers`: repetition
/// penalty, temperature, top-k, top-p, min-p.
struct SamplingOptions {
    double temperature = 1.0;  ///< 0: greedy
    std::int64_t top_k = 0;    ///< 0: all
    double top_p = 1.0;
    double min_p = 0.0;
    double repetition_penalty = 1.0;  ///< Keskar et al. 2019, sec. 4.1

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("temperature", temperature, "0 takes the likeliest token");
        v.field("top_k", top_k, "draw from the k likeliest tokens; 0: from all");
        v.field("top_p", top_p, "draw from the likeliest tokens that hold this much probability");
        v.field("min_p", min_p,
                "draw from tokens of at least this share of the likeliest one's probability");
        v.field("repetition_penalty", repetition_penalty,
                "above 1: makes tokens of the prompt and of the answer so far less likely");
    }
    /// Throws UsageError.
    void validate() const;
};

/// What a draw depends on besides the logits.
struct DrawContext {
    std::span<const TokenId> prompt = {}, generated = {};  ///< for the repetition penalty
    std::span<const TokenId> forbidden = {};               ///< tokens that cannot be drawn
};

/// What drawing from such logits throws.
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
