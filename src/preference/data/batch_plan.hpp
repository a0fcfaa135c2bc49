#pragma once

#include "preference/data/pair_data.hpp"

#include <popalign/base/range.hpp>

#include <cstdint>
#include <set>
#include <span>
#include <utility>
#include <vector>

namespace popalign::preference {

/// A permutation of `count` items that depends on `seed` and `epoch` alone (Fisher-Yates with
/// counter-based draws).
std::vector<std::size_t> epoch_order(std::size_t count, std::uint64_t seed, std::int64_t epoch);

/// Steps of an epoch; the last takes what is left.
std::int64_t steps_per_epoch(std::size_t count, std::int64_t global_batch_size);

/// The same, with all items of a prompt behind its first one.
std::vector<std::size_t> order_by_instruction(std::span<const std::size_t> order,
                                              std::span<const PairHashes> hashes);

/// Tokens of a forward pass in which equal prompts, and equal answers to them, stand once.
class PackedSize {
  public:
    std::uint64_t tokens() const noexcept { return tokens_; }
    /// What a pair would add.
    std::uint64_t cost(const PairLengths& lengths, const PairHashes& hashes) const;
    void add(const PairLengths& lengths, const PairHashes& hashes);

  private:
    std::set<std::uint64_t> prompts_;
    std::set<std::pair<std::uint64_t, std::uint64_t>> answers_;
    std::uint64_t tokens_ = 0;
};

/// The items of `batch` that `rank` of `ranks` computes, those of a prompt together: the longest
/// first, each to the rank with the fewest tokens so far. Prompts with more than a rank's share are
/// split. Every item goes to exactly one rank.
std::vector<std::size_t> share_of_batch(std::span<const std::size_t> batch,
                                        std::span<const PairLengths> lengths,
                                        std::span<const PairHashes> hashes, int rank, int ranks);

/// Cuts consecutive items into runs of at most `budget` packed tokens, not within neighbours of one
/// prompt unless they alone are more; an item larger than the budget stands alone.
std::vector<Range> micro_batches(std::span<const PairLengths> lengths,
                                 std::span<const PairHashes> hashes, std::int64_t budget);

}  // namespace popalign::preference
