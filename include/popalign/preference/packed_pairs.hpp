#pragma once

#include <popalign/lm/causal_lm.hpp>
#include <popalign/preference/pair_data.hpp>

#include <cstdint>
#include <span>
#include <vector>

namespace popalign {

/// Pairs of one forward pass without padding: equal prompts are one segment, completions are its
/// children.
struct PackedPairs {
    SegmentForest forest;
    /// One entry a completion token: the row whose hidden state predicts it (for a completion's
    /// first token the prompt's last row), the token, and its sequence: 2 i is the chosen side of
    /// pair i, 2 i + 1 the rejected one.
    std::vector<std::int64_t> rows, targets, sequences;
    /// The last row of each sequence; that of the prompt where there is no answer.
    std::vector<std::int64_t> ends;
    std::int64_t pairs = 0;
};

/// Prompts and chosen answers must not be empty; an empty rejected one is left out and has the
/// log-probability 0.
PackedPairs pack_pairs(std::span<const PairExample> examples);

/// log P(completion | prompt) [pairs, 2] float64: chosen, rejected. Differentiable.
at::Tensor sequence_log_probabilities(const CausalLm& model, const PackedPairs& packed);

/// A reward model's scores of prompt and completion [pairs, 2] float64. Differentiable.
at::Tensor sequence_scores(const CausalLm& model, const PackedPairs& packed);

/// Either of the two, by what the model is.
at::Tensor pair_values(const CausalLm& model, const PackedPairs& packed);

}  // namespace popalign
