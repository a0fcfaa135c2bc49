#include "store/pairs/pair_repeats.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/range.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/record/pair_flags.hpp>
#include <popalign/store/pairs/pair_merge.hpp>
#include <popalign/store/pairs/pair_update.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace popalign::store {
namespace {

/// Adds the tables' rows of the new pairs; returns the row of /generations of the chosen answers,
/// which the rejected ones' follows.
std::uint32_t extend_header(PairFileHeader& header, const PairOrigin& origin) {
    for (const StrategyRow& row : header.strategies)
        if (row.name == origin.strategy)
            throw UsageError(
                fmt::format("there is a strategy '{}' already; give the new pairs "
                            "another name",
                            origin.strategy));
    const auto model = static_cast<std::uint32_t>(header.models.size());
    const auto generation = static_cast<std::uint32_t>(header.generations.size());
    header.models.push_back({origin.strategy, origin.path, origin.sha256, 0, "", ""});
    header.generations.push_back({origin.strategy + "/chosen", model, ""});
    header.generations.push_back({origin.strategy + "/rejected", model, ""});
    header.strategies.push_back({origin.strategy, "label", ""});
    return generation;
}

/// The share of a table of `rows` rows that goes with `share` of `pairs` pairs.
Range share_like(Range share, std::uint64_t pairs, std::uint64_t rows, bool is_root) {
    if (pairs == 0)
        return {0, is_root ? rows : 0};
    return {share.begin * rows / pairs, share.end * rows / pairs};
}

PairBlock old_rows(const PairFile& base, Range pairs, bool is_root) {
    const std::uint64_t count = base.pair_count();
    PairBlock block;
    block.instructions =
        base.instructions(share_like(pairs, count, base.instruction_count(), is_root));
    block.responses = base.responses(share_like(pairs, count, base.response_count(), is_root));
    block.pairs = base.pairs(pairs);
    return block;
}

Response make_response(std::string text, std::uint64_t instruction, std::uint32_t generation) {
    Response response;
    response.instruction = instruction;
    response.generation = generation;
    response.text = std::move(text);
    response.logprob = std::numeric_limits<double>::quiet_NaN();
    return response;
}

}  // namespace

MixShare share_of_mix(const comm::Communicator& comm, std::uint64_t old_pairs, std::size_t units,
                      std::size_t units_per_pair) {
    const std::size_t old_units = old_pairs * units_per_pair;
    const Range all = partition(old_units + units, comm.rank(), comm.size());
    const auto old_part = [&](std::size_t unit) {
        return std::min<std::size_t>(unit / units_per_pair, old_pairs);
    };
    const auto new_part = [&](std::size_t unit) { return std::max(unit, old_units) - old_units; };
    return {{old_part(all.begin), old_part(all.end)}, {new_part(all.begin), new_part(all.end)}};
}

PairBlock append_pairs(const comm::Communicator& comm, const PairFile* base, Range old_pairs,
                       const std::vector<InterchangePair>& pairs,
                       const OverlapIndex& evaluation_sets, const PairOrigin& origin,
                       PairFileHeader& header) {
    const auto generation = comm::run_on_all(comm, [&] { return extend_header(header, origin); });
    const auto strategy = static_cast<std::uint32_t>(header.strategies.size() - 1);
    const std::uint64_t before = comm::exclusive_scan(comm, pairs.size());
    PairBlock block = comm::run_on_all(comm, [&] {
        PairBlock rows;
        if (base != nullptr)
            rows = old_rows(*base, old_pairs, comm.is_root());
        const std::uint64_t instructions = base == nullptr ? 0 : base->instruction_count();
        const std::uint64_t responses = base == nullptr ? 0 : base->response_count();
        for (std::size_t i = 0; i < pairs.size(); ++i) {
            const std::uint64_t instruction = instructions + before + i;
            const std::uint64_t response = responses + 2 * (before + i);
            Response chosen = make_response(pairs[i].chosen, instruction, generation);
            Response rejected = make_response(pairs[i].rejected, instruction, generation + 1);
            std::uint32_t flags = pair_flags(pairs[i].instruction, chosen, rejected);
            if (evaluation_sets.overlaps(pairs[i].instruction.text))
                flags |= static_cast<std::uint32_t>(PairFlag::overlap);
            rows.instructions.push_back(pairs[i].instruction);
            rows.responses.push_back(std::move(chosen));
            rows.responses.push_back(std::move(rejected));
            rows.pairs.push_back({instruction, strategy, response, response + 1, flags});
        }
        return rows;
    });
    // Old pairs keep their flags: their rows may lie in other ranks' blocks.
    const std::vector<PreferencePair> old(
        block.pairs.begin(), block.pairs.end() - static_cast<std::ptrdiff_t>(pairs.size()));
    flag_repeats(comm, block);
    std::ranges::copy(old, block.pairs.begin());
    return block;
}

void copy_judgements(const comm::Communicator& comm, const PairFile& base,
                     const std::filesystem::path& path) {
    const auto verdicts = comm::run_on_all(comm, [&] { return base.verdicts(); });
    if (!verdicts.empty()) {
        const Range mine = partition(verdicts.size(), comm.rank(), comm.size());
        write_verdicts(comm, path, base.judges(),
                       {verdicts.begin() + static_cast<std::ptrdiff_t>(mine.begin),
                        verdicts.begin() + static_cast<std::ptrdiff_t>(mine.end)});
    }
    for (const std::string& key : comm::run_on_all(comm, [&] { return base.reference_keys(); })) {
        const auto reference = comm::run_on_all(comm, [&] {
            auto values = base.reference(key);
            const std::uint64_t pairs = PairFile(path).pair_count();
            constexpr double missing = std::numeric_limits<double>::quiet_NaN();
            values.chosen_logprob.resize(pairs, missing);
            values.rejected_logprob.resize(pairs, missing);
            return values;
        });
        write_reference(comm, path, key, reference);
    }
}

}  // namespace popalign::store
