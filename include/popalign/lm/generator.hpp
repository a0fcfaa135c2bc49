#pragma once

#include <popalign/base/random.hpp>
#include <popalign/lm/causal_lm.hpp>
#include <popalign/record/response.hpp>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace popalign {

/// How a token is chosen from the distribution. Order: temperature, top-k, top-p.
struct SamplingOptions {
    double temperature = 1.0;  ///< 0: greedy
    std::int64_t top_k = 0;    ///< 0: all
    double top_p = 1.0;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("temperature", temperature, "0 takes the likeliest token");
        v.field("top_k", top_k, "draw from the k likeliest tokens; 0: from all");
        v.field("top_p", top_p, "draw from the likeliest tokens that hold this much probability");
    }
    void validate() const;
};

/// Draws a token with probability proportional to `weights` (not below 0), after top-k and top-p,
/// by inversion of the cumulative distribution at `uniform` in [0, 1): one random number a token.
/// At the limits of top-k and top-p equal weights go by id, lower first. Temperature is the
/// caller's.
TokenId draw_token(std::span<const float> weights, const SamplingOptions& options, double uniform);

struct GenerationRequest {
    std::vector<TokenId> prompt;
    std::int64_t max_new_tokens = 0;
    RandomStream stream;
};

struct GeneratedTokens {
    std::vector<TokenId> tokens;  ///< without the stop token
    double logprob = 0;           ///< of the tokens and the stop token [nat]
    FinishReason finish_reason = FinishReason::length;
};

struct GeneratorOptions {
    SamplingOptions sampling;
    std::int64_t batch_size = 64;  ///< sequences decoded together
    /// Results are a function of the request alone, bit for bit: fixed batch shapes and cache
    /// extents that depend on nothing else. Wants one thread a rank.
    bool deterministic = false;
};

/// Batched generation with a key-value cache. Prompts that begin alike share the computation of
/// what they share (not in deterministic mode).
class Generator {
  public:
    Generator(const CausalLm& model, std::vector<TokenId> stop_tokens, GeneratorOptions options);

    /// Calls `done(index of the request, result)` as each is finished, in no particular order.
    /// `keep_going` is asked once a step; on false, unfinished requests are given up.
    void generate(std::span<const GenerationRequest> requests,
                  const std::function<void(std::size_t, GeneratedTokens)>& done,
                  const std::function<bool()>& keep_going = {}) const;

  private:
    const CausalLm& model_;
    std::vector<TokenId> stop_tokens_;
    GeneratorOptions options_;
};

}  // namespace popalign
