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

/// A completion drawn by the policy, with the models' values at that time.
struct Rollout {
    std::uint64_t episode = 0;  ///< counted from the run's first one
    std::vector<TokenId> prompt = {}, completion = {};
    bool ended = false;  ///< the completion's last token ends its turn
    /// One entry per completion token [nat].
    std::vector<double> log_probabilities = {}, reference_log_probabilities = {};
    std::vector<double> values = {};  ///< critic's value before each completion token
    double score = 0;

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& episode& prompt& completion& ended& log_probabilities& reference_log_probabilities&
            values& score;
    }
};

PairLengths lengths_of(const Rollout& rollout) noexcept;
PairHashes hashes_of(const Rollout& rollout) noexcept;

/// Rollouts of one forward pass without padding; equal prompts are held once.
struct PackedRollouts {
    lm::SegmentForest forest;
    /// One entry per completion token, rollout after rollout: the row that predicts it, and the
    /// token.
    std::vector<std::int64_t> rows, targets;
};

/// Packs rollouts. Throws Error for an empty prompt or completion.
PackedRollouts pack_rollouts(std::span<const Rollout> rollouts);

/// Returns log P of each completion token [tokens] [nat]. Differentiable; `packed` must live until
/// the backward pass is over.
at::Tensor token_log_probabilities(const lm::CausalLm& policy, const PackedRollouts& packed);

struct TokenPredictions {
    at::Tensor log_probabilities;  ///< as above
    at::Tensor entropies;          ///< [tokens], of the distributions that predict the tokens [nat]
};
TokenPredictions predict_tokens(const lm::CausalLm& policy, const PackedRollouts& packed,
                                const lm::PassOptions& options);

/// Returns the value before each completion token [tokens], by a critic (a model with a score
/// head). Differentiable, as above.
at::Tensor token_values(const lm::CausalLm& critic, const PackedRollouts& packed,
                        const lm::PassOptions& options = {});

/// Stores `values(packed)` [tokens] in `member` of the rollouts, computed without gradients in
/// passes of about `token_budget` rows.
void fill_in(std::span<Rollout> rollouts, std::vector<double> Rollout::*member,
             std::int64_t token_budget,
             const std::function<at::Tensor(const PackedRollouts&)>& values);

/// Divides rollouts into consecutive ranges, one per pass.
std::vector<Range> passes_of(std::span<const Rollout> rollouts, std::int64_t token_budget);

}  // namespace popalign::preference
