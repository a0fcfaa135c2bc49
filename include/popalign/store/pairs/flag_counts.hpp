#pragma once

#include <popalign/base/log.hpp>
#include <popalign/store/pairs/pair_rows.hpp>

#include <array>
#include <cstdint>
#include <string>

namespace popalign::store {

/// How many pairs of a strategy there are, and how many have each flag.
struct FlagCounts {
    std::uint64_t pairs = 0, flagged = 0;
    std::array<std::uint64_t, pair_flag_names.size()> by_flag{};  ///< as `pair_flag_names`

    void add(std::uint32_t flags);
    /// "180 pairs, 12 flagged: 9 truncated, 4 refusal".
    std::string text() const;
};

/// A line for each strategy, over the blocks of all ranks. Collective.
void report_flags(const comm::Communicator& comm, const PairBlock& block,
                  const PairFileHeader& header, const Logger& logger);

}  // namespace popalign::store
