#pragma once

#include <popalign/base/range.hpp>
#include <popalign/store/pairs/pair_file.hpp>
#include <popalign/store/rows/interchange.hpp>
#include <popalign/store/rows/overlap.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace popalign::store {

/// Origin of new pairs, for the tables of the pair file.
struct PairOrigin {
    std::string strategy;  ///< name of their strategy, e.g. "label"
    std::string path, sha256;
};

/// Share of a rank in a mix of old and new pairs. Ranks first divide the old pairs, then the input
/// of the new ones. The file then has all old rows, unchanged, before all new rows, in the order of
/// the input.
struct MixShare {
    Range old_pairs;
    Range new_units;  ///< units of the input (`JsonRows::units`)
};

/// Returns this rank's share of `old_pairs` old pairs and `units` units of the input. An old pair
/// counts as about as much work as `units_per_pair` units.
MixShare share_of_mix(const comm::Communicator& comm, std::uint64_t old_pairs, std::size_t units,
                      std::size_t units_per_pair);

/// Returns this rank's rows of a new file: the rows of `base`, if not null, followed by the `pairs`
/// of all ranks as a strategy of their own. Adds the rows of that strategy to `header`. `old_pairs`
/// is the rank's MixShare. Flags new instructions that overlap with `evaluation_sets`, and texts
/// that repeat an earlier one. Throws UsageError if `base` has a strategy of that name. Collective.
PairBlock append_pairs(const comm::Communicator& comm, const PairFile* base, Range old_pairs,
                       const std::vector<InterchangePair>& pairs,
                       const OverlapIndex& evaluation_sets, const PairOrigin& origin,
                       PairFileHeader& header);

/// Copies verdicts and reference log-probabilities of `base` to the file at `path`, whose first
/// pairs are those of `base`. Reference log-probabilities of the other pairs are NaN, to be
/// computed. Collective.
void copy_judgements(const comm::Communicator& comm, const PairFile& base,
                     const std::filesystem::path& path);

}  // namespace popalign::store
