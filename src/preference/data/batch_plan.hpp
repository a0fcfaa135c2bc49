#pragma once

#include "preference/data/pair_data.hpp"

#include <popalign/base/range.hpp>

#include <cstdint>
#include <set>
#include <span>
#include <utility>
#include <vector>

namespace popalign::preference {

/// Returns a permutation of `count` items that depends only on `seed` and `epoch` (Fisher-Yates
/// with counter-based draws).
std::vector<std::size_t> epoch_order(std::size_t count, std::uint64_t seed, std::int64_t epoch);

/// Returns the steps of an epoch; the last step takes the remaining items.
std::int64_t steps_per_epoch(std::size_t count, std::int64_t global_batch_size);

/// Returns the order with all items of a prompt moved behind its first one.
std::vector<std::size_t> order_by_instruction(std::span<const std::size_t> order,
                                              std::span<const PairHashes> hashes);

/// Counts the tokens of a forward pass that holds equal prompts, and equal answers to them, once.
class PackedSize {
  public:
    std::uint64_t tokens() const noexcept { return tokens_; }
    /// Returns the tokens that a pair would add.
    std::uint64_t cost(const PairLengths& lengths, const PairHashes& hashes) const;
    void add(const PairLengths& lengths, const PairHashes& hashes);

  private:
    std::set<std::uint64_t> prompts_;
    std::set<std::pair<std::uint64_t, std::uint64_t>> answers_;
    std::uint64_t tokens_ = 0;
};

/// Returns the items of `batch` that `rank` of `ranks` computes. Items of a prompt stay together;
/// the longest prompt goes first, each to the rank with the fewest tokens so far. Prompts larger
/// than a rank's share are split. Every item goes to exactly one rank.
std::vector<std::size_t> share_of_batch(std::span<const std::size_t> batch,
                                        std::span<const PairLengths> lengths,
                                        std::span<const PairHashes> hashes, int rank, int ranks);

/// Divides items into consecutive ranges of at most `budget` packed tokens. Neighbours of one
/// prompt stay together unless they alone exceed the budget; an item larger than the budget stands
/// alone.
std::vector<Range> micro_batches(std::span<const PairLengths> lengths,
                                 std::span<const PairHashes> hashes, std::int64_t budget);

}  // namespace popalign::preference
