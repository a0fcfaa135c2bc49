#include <popalign/base/error.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/record/pair_flags.hpp>
#include <popalign/store/pair_merge.hpp>

#include <fmt/format.h>

#include <limits>

namespace popalign {
namespace {

/// Row numbers of a table in which each rank writes its share of the old rows, then its new ones.
class Renumbering {
  public:
    /// Collective.
    Renumbering(const Communicator& comm, std::uint64_t old_rows, std::uint64_t my_new_rows)
        : old_rows_(old_rows),
          ranks_(comm.size()),
          mine_(partition(old_rows, comm.rank(), ranks_)) {
        new_before_.push_back(0);
        for (std::uint64_t count : all_gather(comm, my_new_rows))
            new_before_.push_back(new_before_.back() + count);
        first_new_ = mine_.end + new_before_[static_cast<std::size_t>(comm.rank())];
    }

    Range share() const { return mine_; }
    std::uint64_t old_row(std::uint64_t row) const {
        return row + new_before_[static_cast<std::size_t>(owner(old_rows_, row, ranks_))];
    }
    std::uint64_t new_row(std::size_t local) const { return first_new_ + local; }

  private:
    std::uint64_t old_rows_;
    int ranks_;
    Range mine_;
    std::vector<std::uint64_t> new_before_;  // by rank, and in all
    std::uint64_t first_new_ = 0;
};

struct Rows {
    std::uint64_t instructions = 0, responses = 0, pairs = 0;
};

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

void add_old_rows(const PairFile& base, const Renumbering& instructions,
                  const Renumbering& responses, const Renumbering& pairs, PairBlock& block) {
    block.instructions = base.instructions(instructions.share());
    block.responses = base.responses(responses.share());
    for (Response& response : block.responses)
        response.instruction = instructions.old_row(response.instruction);
    block.pairs = base.pairs(pairs.share());
    for (PreferencePair& pair : block.pairs) {
        pair.instruction = instructions.old_row(pair.instruction);
        pair.chosen = responses.old_row(pair.chosen);
        pair.rejected = responses.old_row(pair.rejected);
    }
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

PairBlock append_pairs(const Communicator& comm, const PairFile* base,
                       const std::vector<ExchangedPair>& pairs, const OverlapIndex& evaluation_sets,
                       const PairOrigin& origin, PairFileHeader& header) {
    const auto generation = run_on_all(comm, [&] { return extend_header(header, origin); });
    const auto strategy = static_cast<std::uint32_t>(header.strategies.size() - 1);
    const Rows old = base == nullptr ? Rows()
                                     : Rows{base->instruction_count(), base->response_count(),
                                            base->pair_count()};
    const Renumbering instructions(comm, old.instructions, pairs.size());
    const Renumbering responses(comm, old.responses, 2 * pairs.size());
    const Renumbering pair_rows(comm, old.pairs, pairs.size());
    return run_on_all(comm, [&] {
        PairBlock block;
        if (base != nullptr)
            add_old_rows(*base, instructions, responses, pair_rows, block);
        for (std::size_t i = 0; i < pairs.size(); ++i) {
            const std::uint64_t instruction = instructions.new_row(i);
            Response chosen = make_response(pairs[i].chosen, instruction, generation);
            Response rejected = make_response(pairs[i].rejected, instruction, generation + 1);
            block.instructions.push_back(pairs[i].instruction);
            std::uint32_t flags = pair_flags(pairs[i].instruction, chosen, rejected);
            if (evaluation_sets.overlaps(pairs[i].instruction.text))
                flags |= static_cast<std::uint32_t>(PairFlag::overlap);
            block.pairs.push_back({instruction, strategy, responses.new_row(2 * i),
                                   responses.new_row(2 * i + 1), flags});
            block.responses.push_back(std::move(chosen));
            block.responses.push_back(std::move(rejected));
        }
        return block;
    });
}

}  // namespace popalign
