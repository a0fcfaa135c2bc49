#pragma once

#include "preference/data/pair_data.hpp"

#include <popalign/lm/transformer/causal_lm.hpp>
#include <popalign/lm/transformer/segment_forest.hpp>

#include <cstdint>
#include <span>
#include <vector>

namespace popalign::preference {

/// Parts of pairs that a forward pass holds only once.
enum class PackingMode {
    shared,   ///< equal prompts, and equal answers to them
    separate  ///< none: every sequence has its own prompt
};

/// Pairs of one forward pass without padding: prompts are segments, completions their children.
struct PackedPairs {
    lm::SegmentForest forest;
    /// One entry per completion token: the row whose hidden state predicts it (for a completion's
    /// first token, the prompt's last row), the token, and its sequence.
    std::vector<std::int64_t> rows, targets, sequences;
    /// Last row of each sequence; of the prompt if there is no answer.
    std::vector<std::int64_t> ends;
    /// Chosen and rejected sequence of each pair [2 * pairs].
    std::vector<std::int64_t> sides;

    std::int64_t pairs() const noexcept { return static_cast<std::int64_t>(sides.size()) / 2; }
};

/// Packs pairs. Prompts and chosen answers must not be empty; an empty rejected answer is left out
/// and has the log-probability 0.
PackedPairs pack_pairs(std::span<const PairExample> examples,
                       PackingMode mode = PackingMode::shared);

/// Returns log P(completion | prompt) [pairs, 2] float64: chosen, rejected. Differentiable;
/// `packed` must live until the backward pass is over.
at::Tensor sequence_log_probabilities(const lm::CausalLm& model, const PackedPairs& packed,
                                      const lm::PassOptions& options = {});

/// Returns a reward model's scores of prompt and completion [pairs, 2] float64. Differentiable;
/// `packed` must live until the backward pass is over.
at::Tensor sequence_scores(const lm::CausalLm& model, const PackedPairs& packed,
                           const lm::PassOptions& options = {});

/// Returns scores for a reward model, else log-probabilities.
at::Tensor pair_values(const lm::CausalLm& model, const PackedPairs& packed,
                       const lm::PassOptions& options = {});

}  // namespace popalign::preference
