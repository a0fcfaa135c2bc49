#pragma once

#include <popalign/preference/pair_data.hpp>

#include <cstdint>
#include <span>
#include <vector>

namespace popalign {

/// A permutation of `count` items that depends on `seed` and `epoch` alone (Fisher-Yates with
/// counter-based draws).
std::vector<std::size_t> epoch_order(std::size_t count, std::uint64_t seed, std::int64_t epoch);

/// Steps of an epoch; the last takes what is left.
std::int64_t steps_per_epoch(std::size_t count, std::int64_t global_batch_size);

/// The items of `batch` that `rank` of `ranks` computes: longest first, each to the rank with the
/// fewest tokens so far. Every item goes to exactly one rank.
std::vector<std::size_t> share_of_batch(std::span<const std::size_t> batch,
                                        std::span<const PairLengths> lengths, int rank, int ranks);

/// Cuts consecutive items into runs of at most `budget` packed tokens; an item larger than that
/// stands alone.
std::vector<Range> micro_batches(std::span<const PairLengths> lengths, std::int64_t budget);

}  // namespace popalign
