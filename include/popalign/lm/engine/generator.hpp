#pragma once

#include <popalign/base/random.hpp>
#include <popalign/lm/engine/occupancy.hpp>
#include <popalign/lm/engine/sampling_options.hpp>
#include <popalign/lm/transformer/causal_lm.hpp>
#include <popalign/lm/transformer/model_config.hpp>
#include <popalign/record/response.hpp>
#include <popalign/record/token.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace popalign::lm {

struct GenerationRequest {
    std::vector<TokenId> prompt;
    std::int64_t max_new_tokens = 0;
    RandomStream stream;
};

struct GeneratedTokens {
    std::vector<TokenId> tokens;  ///< without the stop token
    std::optional<TokenId> stop_token = {};
    /// Log-probabilities of the tokens and the stop token under the model, before any sampling
    /// option [nat].
    std::vector<float> token_logprobs;
    double logprob = 0;  ///< their sum
    FinishReason finish_reason = FinishReason::length;
};

struct GeneratorOptions {
    SamplingOptions sampling;
    std::int64_t batch_size = 64;  ///< sequences decoded together
    /// Makes results depend on the request alone, bit for bit: batch shapes are fixed, and cache
    /// extents depend only on the request. Needs one thread per rank.
    bool deterministic = false;
    std::int64_t min_new_tokens = 0;  ///< stop tokens cannot be drawn earlier
    /// Called after each token with all tokens of the answer so far; true ends the answer. See
    /// StopStrings.
    std::function<bool(std::span<const TokenId>)> ends = nullptr;
    /// Memory limit for keys and values [byte]. Fewer than `batch_size` sequences are decoded
    /// together if they would need more. 0: no limit.
    std::uint64_t cache_bytes = 0;
    /// Rows of one forward pass over prompts. Short prompts share a pass, long ones are split.
    std::int64_t prefill_tokens = 2048;
};

/// Tokens and time of a run of the generator.
struct GenerationStatistics {
    std::uint64_t prompt_tokens = 0;     ///< tokens of the requested prompts
    std::uint64_t computed_tokens = 0;   ///< prompt tokens computed; the others shared a prefix
    std::uint64_t generated_tokens = 0;  ///< including stop tokens
    double prefill_seconds = 0, decode_seconds = 0, sampling_seconds = 0;
};

/// Returns the bytes of one token's keys and values in a model's cache.
std::uint64_t cache_bytes_per_token(const ModelConfig& config, at::ScalarType dtype);
/// Returns the positions that a sequence of up to `tokens` tokens takes in the cache.
std::int64_t cache_extent(std::int64_t tokens);

/// Batched generation with a key-value cache; requests join while others are decoded. Prompts with
/// a common prefix share its computation (not in deterministic mode). With a model in slices,
/// collective over its ranks: the first rank draws and calls `ends`, `keep_going` and `more`, and
/// the others follow it.
class Generator {
  public:
    Generator(const CausalLm& model, std::vector<TokenId> stop_tokens, GeneratorOptions options);

    /// Calls `done(index of the request, result)` as each request is finished, in no particular
    /// order. Calls `keep_going` once per step; if it returns false, unfinished requests are
    /// dropped. Calls `more` once per step in which a quarter of the batch is free.
    GenerationStatistics generate(std::span<const GenerationRequest> requests,
                                  const std::function<void(std::size_t, GeneratedTokens)>& done,
                                  const std::function<bool()>& keep_going = {},
                                  const RequestSource<GenerationRequest>& more = {}) const;

    /// Throws UsageError for a request that does not fit the model; `generate` calls this first.
    void check(std::span<const GenerationRequest> requests) const;
    /// Returns how many of `sequences` sequences of `extent` positions are decoded together. Throws
    /// Error if the memory does not suffice for the minimum.
    std::int64_t slots(std::int64_t extent, std::size_t sequences) const;

    const CausalLm& model() const noexcept { return model_; }
    std::span<const TokenId> stop_tokens() const noexcept { return stop_tokens_; }
    const GeneratorOptions& options() const noexcept { return options_; }

  private:
    const CausalLm& model_;
    std::vector<TokenId> stop_tokens_;
    GeneratorOptions options_;
};

}  // namespace popalign::lm
