#pragma once

#include <popalign/lm/transformer/segment_forest.hpp>
#include <popalign/record/token.hpp>

#include <span>
#include <vector>

namespace popalign::lm {

/// Sequences packed so that common prefixes are stored once.
struct PrefixForest {
    SegmentForest forest;
    /// For each sequence, the segments that spell it, first to last.
    std::vector<std::vector<std::size_t>> paths;

    /// The row of token `position` of sequence `index`.
    std::int64_t row(std::size_t index, std::int64_t position) const;
};

/// `sequences` are not empty. The forest's shape depends only on the sequences and their order.
PrefixForest share_prefixes(std::span<const std::span<const TokenId>> sequences);

/// Returns an order in which sequences with a common prefix are adjacent.
std::vector<std::size_t> prefix_order(std::span<const std::span<const TokenId>> sequences);

/// Groups of consecutive positions of `order`, each of at most `budget` tokens once prefixes are
/// shared (a longer single sequence is a group of its own).
std::vector<std::vector<std::size_t>> group_by_budget(
    std::span<const std::span<const TokenId>> sequences, std::span<const std::size_t> order,
    std::int64_t budget, std::size_t most);

}  // namespace popalign::lm
