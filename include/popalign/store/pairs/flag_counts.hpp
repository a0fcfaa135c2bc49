#pragma once

#include <popalign/base/log.hpp>
#include <popalign/store/pairs/pair_rows.hpp>

#include <array>
#include <cstdint>
#include <string>

namespace popalign::store {

/// Number of pairs of a strategy, and of those with each flag.
struct FlagCounts {
    std::uint64_t pairs = 0, flagged = 0;
    std::array<std::uint64_t, pair_flag_names.size()> by_flag{};  ///< as `pair_flag_names`

    void add(std::uint32_t flags);
    /// Returns e.g. "180 pairs, 12 flagged: 9 truncated, 4 refusal".
    std::string text() const;
};

/// Logs the counts of each strategy, over the blocks of all ranks. Collective.
void report_flags(const comm::Communicator& comm, const PairBlock& block,
                  const PairFileHeader& header, const Logger& logger);

}  // namespace popalign::store
