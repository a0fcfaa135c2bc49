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
    /// Of the tokens and the stop token, under the model itself, before any option [nat].
    std::vector<float> token_logprobs;
    double logprob = 0;  ///< their sum
    FinishReason finish_reason = FinishReason::length;
};

struct GeneratorOptions {
    SamplingOptions sampling;
    std::int64_t batch_size = 64;  ///< sequences decoded together
    /// Results are a function of the request alone, bit for bit: fixed batch shapes and cache
    /// extents that depend on nothing else. Wants one thread a rank.
    bool deterministic = false;
    std::int64_t min_new_tokens = 0;  ///< stop tokens cannot be drawn before
    /// Asked after each token with all tokens of the answer so far; true ends it. See StopStrings.
    std::function<bool(std::span<const TokenId>)> ends = nullptr;
    /// What keys and values may take: fewer sequences are decoded together where `batch_size` would
    /// take more. 0: as much as that takes.
    std::uint64_t cache_bytes = 0;
    /// Rows of one forward pass over prompts: short prompts go together, long ones in parts.
    std::int64_t prefill_tokens = 2048;
};

/// What a run of the generator cost.
struct GenerationStatistics {
    std::uint64_t prompt_tokens = 0;     ///< asked for
    std::uint64_t computed_tokens = 0;   ///< of these; the others shared a prefix
    std::uint64_t generated_tokens = 0;  ///< stop tokens too
    double prefill_seconds = 0, decode_seconds = 0, sampling_seconds = 0;
};

/// Bytes of keys and values of one token in a model's cache.
std::uint64_t cache_bytes_per_token(const ModelConfig& config, at::ScalarType dtype);
/// Positions that a sequence of up to `tokens` tokens takes in the cache.
std::int64_t cache_extent(std::int64_t tokens);

/// Batched generation with a key-value cache; requests join while others are decoded. Prompts that
/// begin alike share the computation of what they share (not in deterministic mode). With a model
/// in slices, collective over its ranks: the first draws, asks `ends`, `keep_going` and `more`, and
/// the others do as it does.
class Generator {
  public:
    Generator(const CausalLm& model, std::vector<TokenId> stop_tokens, GeneratorOptions options);

    /// Calls `done(index of the request, result)` as each is finished, in no particular order.
    /// `keep_going` is asked once a step; on false, unfinished requests are given up. `more` is
    /// asked once a step in which there is room for a quarter of a batch.
    GenerationStatistics generate(std::span<const GenerationRequest> requests,
                                  const std::function<void(std::size_t, GeneratedTokens)>& done,
                                  const std::function<bool()>& keep_going = {},
                                  const RequestSource<GenerationRequest>& more = {}) const;

    /// Throws UsageError for a request that the model cannot hold; `generate` asks this first.
    void check(std::span<const GenerationRequest> requests) const;
    /// How many sequences of `extent` positions are decoded together, if there are that many.
    /// Throws Error if there is no memory for the least.
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
