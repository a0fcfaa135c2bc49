#pragma once

#include <popalign/lm/transformer/causal_lm.hpp>
#include <popalign/record/token.hpp>

#include <functional>
#include <span>
#include <vector>

namespace popalign::lm {

struct ScoreRequest {
    std::vector<TokenId> prompt, completion;  ///< the prompt must not be empty
};

/// Computes log P(completion token | all before) [nat] for each completion token. Requests with a
/// common prefix share its computation. `token_budget` limits the rows of one forward pass. Calls
/// `done` once per request.
void score(const CausalLm& model, std::span<const ScoreRequest> requests, std::int64_t token_budget,
           const std::function<void(std::size_t, std::vector<float>)>& done);

/// Computes log P(candidate | prompt) [nat] of each candidate as the next token, e.g. for the
/// letters of a judge. Calls `done` once per prompt.
void score_next_token(const CausalLm& model, std::span<const std::vector<TokenId>> prompts,
                      std::span<const TokenId> candidates, std::int64_t token_budget,
                      const std::function<void(std::size_t, std::vector<float>)>& done);

/// Computes a reward model's score of each sequence, at its last token. No sequence may be empty.
/// Calls `done` once per sequence.
void score_endings(const CausalLm& model, std::span<const std::vector<TokenId>> sequences,
                   std::int64_t token_budget, const std::function<void(std::size_t, double)>& done);

}  // namespace popalign::lm
