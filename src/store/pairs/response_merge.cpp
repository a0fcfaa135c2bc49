#include "store/pairs/pair_repeats.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/range.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/exchange.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/store/pairs/pair_writer.hpp>
#include <popalign/store/pairs/response_merge.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <tuple>
#include <type_traits>

namespace popalign::store {
namespace {

/// A response in the eyes of the rank that writes its row.
struct Placed {
    int source = -1;          // the rank that has its journal; -1: there is none
    std::uint32_t index = 0;  // among all that this rank told ours of
    IndexedResponse response;
};

/// Consecutive rows that are in memory together.
struct Window {
    Range instructions;  // of this rank's
    std::uint64_t first_response = 0;
};

template <class T>
std::vector<std::byte> bytes_of(const std::vector<T>& values) {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto bytes = std::as_bytes(std::span(values));
    return {bytes.begin(), bytes.end()};
}

template <class T>
std::vector<T> values_of(const std::vector<std::byte>& bytes) {
    std::vector<T> values(bytes.size() / sizeof(T));
    if (!values.empty())
        std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
    return values;
}

class Merger {
  public:
    Merger(const comm::Communicator& comm, const ResponseIndex& index, const MergeInputs& inputs)
        : comm_(comm),
          inputs_(inputs),
          generations_(inputs.header.generations.size()),
          mine_(partition(inputs.instructions, comm.rank(), comm.size())),
          reader_(index.journals()),
          told_(static_cast<std::size_t>(comm.size())),
          placed_(mine_.size() * generations_) {
        place(index);
        count_retries();
    }

    MergeReport run() {
        require_all();
        const PairSizes sizes = comm::run_on_all(comm_, [&] { return count(); });
        next_instruction_ = comm::exclusive_scan(comm_, sizes.instructions);
        const std::uint64_t first_response = comm::exclusive_scan(comm_, sizes.responses);
        PairRepeats repeats(next_instruction_, first_response);
        PairFileWriter writer(comm_, inputs_.output, inputs_.header, sizes);
        const std::vector<Window> windows = cut(first_response);
        const auto rounds =
            comm::all_reduce<std::uint64_t>(comm_, windows.size(), comm::Reduction::maximum);
        for (std::uint64_t round = 0; round < rounds; ++round) {
            const Window window =
                round < windows.size() ? windows[round] : Window{{mine_.size(), mine_.size()}, 0};
            PairBlock block = fetch(window);
            comm::run_on_all(comm_, [&] {
                add_pairs(window, block);
                if (inputs_.repeats == MergeInputs::Repeats::flagged)
                    remember(block, repeats);
                writer.write(block);
            });
        }
        if (inputs_.repeats == MergeInputs::Repeats::flagged)
            repeats.flag(comm_, report_.own_pairs);
        comm::run_on_all(comm_, [&] { writer.write({{}, {}, report_.own_pairs}); });
        writer.commit();
        report_.pairs = comm::all_reduce<std::uint64_t>(comm_, sizes.pairs, comm::Reduction::sum);
        return std::move(report_);
    }

  private:
    /// Every rank tells the rows' ranks what it has; these choose.
    void place(const ResponseIndex& index) {
        std::vector<std::vector<IndexedResponse>> outgoing(told_.size());
        for (const IndexedResponse& response : index.responses()) {
            const auto to = static_cast<std::size_t>(
                owner(inputs_.instructions, response.key.instruction, comm_.size()));
            outgoing[to].push_back(response);
            told_[to].push_back(response.place);
        }
        std::vector<std::vector<std::byte>> bytes;
        for (auto& part : outgoing)
            bytes.push_back(bytes_of(std::exchange(part, {})));
        int source = 0;
        for (const auto& part : comm::all_to_all(comm_, bytes)) {
            std::uint32_t number = 0;
            for (const auto& response : values_of<IndexedResponse>(part))
                choose({source, number++, response});
            ++source;
        }
    }

    void choose(const Placed& candidate) {
        const auto order = [](const Placed& placed) {
            return std::tuple(placed.response.place.journal, placed.response.place.offset);
        };
        const ResponseKey& key = candidate.response.key;
        Placed& slot = placed_[(key.instruction - mine_.begin) * generations_ + key.generation];
        if (slot.source < 0 || order(candidate) < order(slot))
            slot = candidate;
    }

    void count_retries() {
        report_.retries.resize(generations_);
        for (const Placed& placed : placed_)
            if (placed.source >= 0 && placed.response.key.attempts > 0)
                report_.retries[placed.response.key.generation] += placed.response.key.attempts - 1;
        comm::all_reduce(comm_, std::span(report_.retries), comm::Reduction::sum);
    }

    void require_all() {
        std::uint64_t wanted = 0, missing = 0;
        for (std::size_t local = 0; local < mine_.size(); ++local)
            for (std::size_t generation = 0; generation < generations_; ++generation)
                if (inputs_.has_response(mine_.begin + local, generation)) {
                    ++wanted;
                    missing += answers(local)[generation].source < 0 ? 1 : 0;
                }
        report_.wanted = comm::all_reduce(comm_, wanted, comm::Reduction::sum);
        missing = comm::all_reduce(comm_, missing, comm::Reduction::sum);
        report_.responses = report_.wanted - missing;
        if (inputs_.missing == MergeInputs::Missing::error && missing > 0)
            throw comm::AgreedError(
                0, comm_.size(),
                fmt::format("{}: {} of {} answers are not in the journals any more; run it again "
                            "to make them",
                            inputs_.output.native(), missing, report_.wanted),
                ExitStatus::failed);
    }

    std::span<const Placed> answers(std::size_t local) const {
        return std::span(placed_).subspan(local * generations_, generations_);
    }
    bool has_pair(std::size_t local, std::size_t pair) const {
        const auto& [chosen, rejected, strategy] = inputs_.pairs[pair];
        return inputs_.has_pair(mine_.begin + local, pair) && answers(local)[chosen].source >= 0 &&
               answers(local)[rejected].source >= 0;
    }
    /// In a part of a run, an instruction without a pair has no row, nor have its answers.
    bool is_kept(std::size_t local) const {
        for (std::size_t pair = 0; pair < inputs_.pairs.size(); ++pair)
            if (has_pair(local, pair))
                return true;
        return inputs_.missing == MergeInputs::Missing::error;
    }

    PairSizes count() const {
        PairSizes sizes;
        for (std::size_t local = 0; local < mine_.size(); ++local) {
            if (!is_kept(local))
                continue;
            sizes.add(inputs_.instruction(mine_.begin + local));
            for (const Placed& answer : answers(local)) {
                if (answer.source < 0)
                    continue;
                ++sizes.responses;
                sizes.response_bytes += answer.response.key.text_bytes;
                sizes.thought_bytes += answer.response.key.thought_bytes;
                sizes.tokens += answer.response.key.tokens;
            }
            for (std::size_t pair = 0; pair < inputs_.pairs.size(); ++pair)
                sizes.pairs += has_pair(local, pair) ? 1 : 0;
        }
        return sizes;
    }

    /// Answers are in memory as records on their way out and in, as objects and as columns.
    std::vector<Window> cut(std::uint64_t first_response) const {
        constexpr std::uint64_t copies = 4, overhead = 256;
        std::vector<Window> windows;
        std::uint64_t bytes = 0;
        for (std::size_t local = 0; local < mine_.size(); ++local) {
            std::uint64_t added = 0, responses = 0;
            if (is_kept(local))
                for (const Placed& answer : answers(local)) {
                    added += answer.source < 0 ? 0 : answer.response.place.bytes + overhead;
                    responses += answer.source < 0 ? 0 : 1;
                }
            if (windows.empty() || bytes + added > inputs_.memory_bytes / copies) {
                windows.push_back({{local, local}, first_response});
                bytes = 0;
            }
            bytes += added;
            first_response += responses;
            ++windows.back().instructions.end;
        }
        return windows;
    }

    /// The window's instructions and responses. Collective.
    PairBlock fetch(const Window& window) {
        const auto ranks = static_cast<std::size_t>(comm_.size());
        std::vector<std::vector<std::uint32_t>> requests(ranks);
        std::vector<std::vector<std::pair<std::size_t, std::uint32_t>>> expected(ranks);
        PairBlock block;
        comm::ExchangeSizes sizes{std::vector<std::uint64_t>(ranks, 0),
                                  std::vector<std::uint64_t>(ranks, 0)};
        std::size_t row = 0;
        for_each_kept(window, [&](std::size_t local) {
            for (const Placed& answer : answers(local)) {
                if (answer.source < 0)
                    continue;
                const auto source = static_cast<std::size_t>(answer.source);
                requests[source].push_back(answer.index);
                expected[source].emplace_back(row++, answer.response.place.bytes);
                sizes.incoming[source] += answer.response.place.bytes;
            }
        });
        block.responses.resize(row);
        std::vector<std::vector<std::byte>> outgoing;
        for (auto& of_source : requests)
            outgoing.push_back(bytes_of(of_source));
        std::vector<std::vector<JournalPlace>> asked(ranks);
        const auto incoming = comm::all_to_all(comm_, outgoing);
        for (std::size_t peer = 0; peer < ranks; ++peer)
            for (const std::uint32_t index : values_of<std::uint32_t>(incoming[peer])) {
                asked[peer].push_back(told_[peer].at(index));
                sizes.outgoing[peer] += asked[peer].back().bytes;
            }
        comm::exchange_in_turn(
            comm_, sizes,
            [&](int peer, std::span<std::byte> bytes) {
                for (const JournalPlace& place : asked[static_cast<std::size_t>(peer)]) {
                    reader_.read(place, bytes.first(place.bytes));
                    bytes = bytes.subspan(place.bytes);
                }
            },
            [&](int peer, std::span<const std::byte> bytes) {
                for (const auto& [to, count] : expected[static_cast<std::size_t>(peer)]) {
                    block.responses[to] = decode_response(bytes.first(count));
                    bytes = bytes.subspan(count);
                }
            });
        return block;
    }

    template <class Visit>
    void for_each_kept(const Window& window, Visit&& visit) const {
        for (std::size_t local = window.instructions.begin; local < window.instructions.end;
             ++local)
            if (is_kept(local))
                visit(local);
    }

    /// Instructions and row numbers into the block; its pairs wait until repeats are known.
    void add_pairs(const Window& window, PairBlock& block) {
        std::uint64_t row = 0;
        for_each_kept(window, [&](std::size_t local) {
            const std::uint64_t instruction = next_instruction_++;
            block.instructions.push_back(inputs_.instruction(mine_.begin + local));
            std::vector<std::uint64_t> rows(generations_, 0);
            for (std::size_t generation = 0; generation < generations_; ++generation)
                if (answers(local)[generation].source >= 0) {
                    block.responses[row].instruction = instruction;
                    rows[generation] = row++;
                }
            for (std::size_t pair = 0; pair < inputs_.pairs.size(); ++pair) {
                if (!has_pair(local, pair))
                    continue;
                const auto& [chosen, rejected, strategy] = inputs_.pairs[pair];
                const std::uint32_t flags =
                    inputs_.flags(block.instructions.back(), block.responses[rows[chosen]],
                                  block.responses[rows[rejected]]);
                report_.own_pairs.push_back({instruction, strategy,
                                             window.first_response + rows[chosen],
                                             window.first_response + rows[rejected], flags});
            }
        });
    }

    static void remember(const PairBlock& block, PairRepeats& repeats) {
        for (const Instruction& row : block.instructions)
            repeats.add(row);
        for (const Response& row : block.responses)
            repeats.add(row);
    }

    const comm::Communicator& comm_;
    const MergeInputs& inputs_;
    std::size_t generations_;
    Range mine_;
    RecordReader reader_;
    std::vector<std::vector<JournalPlace>> told_;  // by rank: what this one has for its rows
    std::vector<Placed> placed_;                   // [this rank's instructions, generations]
    std::uint64_t next_instruction_ = 0;           // its row
    MergeReport report_;
};

}  // namespace

MergeReport merge_responses(const comm::Communicator& comm, const ResponseIndex& index,
                            const MergeInputs& inputs) {
    return Merger(comm, index, inputs).run();
}

}  // namespace popalign::store
