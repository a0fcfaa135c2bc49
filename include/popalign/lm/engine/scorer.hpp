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

/// log P(completion token | all before) [nat], one a token. Requests that begin alike share what
/// they share; `token_budget` bounds the rows of one forward pass. `done` is called per request.
void score(const CausalLm& model, std::span<const ScoreRequest> requests, std::int64_t token_budget,
           const std::function<void(std::size_t, std::vector<float>)>& done);

/// log P(candidate | prompt) for each of `candidates` [nat], a row a prompt: what a judge's letters
/// weigh. `done` is called per prompt.
void score_next_token(const CausalLm& model, std::span<const std::vector<TokenId>> prompts,
                      std::span<const TokenId> candidates, std::int64_t token_budget,
                      const std::function<void(std::size_t, std::vector<float>)>& done);

/// A reward model's score of each of `sequences`, none empty, at its last token. `done` is called
/// per sequence.
void score_endings(const CausalLm& model, std::span<const std::vector<TokenId>> sequences,
                   std::int64_t token_budget, const std::function<void(std::size_t, double)>& done);

}  // namespace popalign::lm
