#pragma once

#include "preference/data/pair_data.hpp"

#include <popalign/base/range.hpp>
#include <popalign/lm/transformer/causal_lm.hpp>
#include <popalign/lm/transformer/segment_forest.hpp>
#include <popalign/record/token.hpp>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace popalign::preference {

/// A completion that the policy drew, and what the models made of it then.
struct Rollout {
    std::uint64_t episode = 0;  ///< counted from the run's first one
    std::vector<TokenId> prompt = {}, completion = {};
    bool ended = false;  ///< the completion's last token ends its turn
    /// A completion token each [nat].
    std::vector<double> log_probabilities = {}, reference_log_probabilities = {};
    std::vector<double> values = {};  ///< of the critic, before each completion token
    double score = 0;

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& episode& prompt& completion& ended& log_probabilities& reference_log_probabilities&
            values& score;
    }
};

PairLengths lengths_of(const Rollout& rollout) noexcept;
PairHashes hashes_of(const Rollout& rollout) noexcept;

/// Rollouts of one forward pass without padding; equal prompts stand once.
struct PackedRollouts {
    lm::SegmentForest forest;
    /// One entry a completion token, rollout after rollout: the row that predicts it, and the
    /// token.
    std::vector<std::int64_t> rows, targets;
};

/// Throws Error for an empty prompt or completion.
PackedRollouts pack_rollouts(std::span<const Rollout> rollouts);

/// log P of each completion token [tokens] [nat]. Differentiable; `packed` must live until the
/// backward pass is over.
at::Tensor token_log_probabilities(const lm::CausalLm& policy, const PackedRollouts& packed);

struct TokenPredictions {
    at::Tensor log_probabilities;  ///< as above
    at::Tensor entropies;          ///< [tokens] of the distributions that they are from [nat]
};
TokenPredictions predict_tokens(const lm::CausalLm& policy, const PackedRollouts& packed,
                                const lm::PassOptions& options);

/// What a critic, a model with a head for scores, expects before each token [tokens].
/// Differentiable, as above.
at::Tensor token_values(const lm::CausalLm& critic, const PackedRollouts& packed,
                        const lm::PassOptions& options = {});

/// Stores `values(packed)` [tokens] of the rollouts in `member` of each, computed without gradients
/// in passes of about `token_budget` rows.
void fill_in(std::span<Rollout> rollouts, std::vector<double> Rollout::*member,
             std::int64_t token_budget,
             const std::function<at::Tensor(const PackedRollouts&)>& values);

/// Runs of rollouts that are one pass each.
std::vector<Range> passes_of(std::span<const Rollout> rollouts, std::int64_t token_budget);

}  // namespace popalign::preference
