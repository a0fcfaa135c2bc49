#pragma once

#include <popalign/store/exchange.hpp>
#include <popalign/store/overlap.hpp>
#include <popalign/store/pair_store.hpp>

#include <vector>

namespace popalign {

/// Where new pairs come from, for the pair file's tables.
struct PairOrigin {
    std::string strategy;  ///< what they are called, e.g. "label"
    std::string path, sha256;
};

/// What a rank contributes to a file of `base`'s rows, if there is one, and then `pairs`, in rank
/// order, as a strategy of their own. Verdicts and reference log-probabilities of `base` stay
/// behind: they belong to other rows. Instructions that `evaluation_sets` knows are flagged. Throws
/// UsageError if `base` has a strategy of that name. Collective.
PairBlock append_pairs(const Communicator& comm, const PairFile* base,
                       const std::vector<ExchangedPair>& pairs, const OverlapIndex& evaluation_sets,
                       const PairOrigin& origin, PairFileHeader& header);

}  // namespace popalign
