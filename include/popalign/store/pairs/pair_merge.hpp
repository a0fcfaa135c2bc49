#pragma once

#include <popalign/base/range.hpp>
#include <popalign/store/pairs/pair_file.hpp>
#include <popalign/store/rows/interchange.hpp>
#include <popalign/store/rows/overlap.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace popalign::store {

/// Where new pairs come from, for the pair file's tables.
struct PairOrigin {
    std::string strategy;  ///< what they are called, e.g. "label"
    std::string path, sha256;
};

/// A rank's part of a mix: ranks first divide the old pairs, then the input of the new ones, so
/// that the file has all old rows, as they were, before all new ones, in the input's order.
struct MixShare {
    Range old_pairs;
    Range new_units;  ///< of the input, as JsonRows counts
};

/// The old pairs are `old_pairs`, each about as much work as `units_per_pair` of the input's
/// `units`.
MixShare share_of_mix(const comm::Communicator& comm, std::uint64_t old_pairs, std::size_t units,
                      std::size_t units_per_pair);

/// What a rank contributes to a file of `base`'s rows, if there is one, and then of all ranks'
/// `pairs` as a strategy of their own, whose rows are added to `header`. `old_pairs` is the rank's
/// MixShare. New instructions that `evaluation_sets` knows, and what repeats a text before it, are
/// flagged. Throws UsageError if `base` has a strategy of that name. Collective.
PairBlock append_pairs(const comm::Communicator& comm, const PairFile* base, Range old_pairs,
                       const std::vector<InterchangePair>& pairs,
                       const OverlapIndex& evaluation_sets, const PairOrigin& origin,
                       PairFileHeader& header);

/// Copies verdicts and reference log-probabilities of `base`, whose pairs are the first ones of the
/// file at `path`; those of the others are missing (NaN), to be computed. Collective.
void copy_judgements(const comm::Communicator& comm, const PairFile& base,
                     const std::filesystem::path& path);

}  // namespace popalign::store
