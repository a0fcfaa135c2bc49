#pragma once

#include <cstdint>

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

}  // namespace popalign::lm
