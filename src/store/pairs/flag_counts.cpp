#include <popalign/comm/collectives.hpp>
#include <popalign/store/pairs/flag_counts.hpp>
#include <popalign/store/pairs/pair_rows.hpp>

#include <fmt/format.h>

#include <utility>

namespace popalign::store {

void FlagCounts::add(std::uint32_t flags) {
    ++pairs;
    flagged += flags != 0 ? 1 : 0;
    for (std::size_t f = 0; f < by_flag.size(); ++f)
        by_flag[f] += (flags & static_cast<std::uint32_t>(pair_flag_names[f].first)) != 0 ? 1 : 0;
}

std::string FlagCounts::text() const {
    std::string line = fmt::format("{} pairs, {} flagged", pairs, flagged);
    std::string_view separator = ": ";
    for (std::size_t f = 0; f < by_flag.size(); ++f)
        if (by_flag[f] > 0)
            line += fmt::format("{}{} {}", std::exchange(separator, ", "), by_flag[f],
                                pair_flag_names[f].second);
    return line;
}

void report_flags(const comm::Communicator& comm, const PairBlock& block,
                  const PairFileHeader& header, const Logger& logger) {
    std::vector<FlagCounts> counts(header.strategies.size());
    for (const PreferencePair& pair : block.pairs)
        counts.at(pair.strategy).add(pair.flags);
    for (std::size_t s = 0; s < counts.size(); ++s) {
        FlagCounts& strategy = counts[s];
        strategy.pairs = comm::all_reduce(comm, strategy.pairs, comm::Reduction::sum);
        strategy.flagged = comm::all_reduce(comm, strategy.flagged, comm::Reduction::sum);
        comm::all_reduce(comm, std::span<std::uint64_t>(strategy.by_flag), comm::Reduction::sum);
        logger.info(fmt::format("{}: {}", header.strategies[s].name, strategy.text()));
    }
}

}  // namespace popalign::store
