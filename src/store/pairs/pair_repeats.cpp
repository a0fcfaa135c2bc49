#include "store/pairs/pair_repeats.hpp"

#include <popalign/comm/collectives.hpp>
#include <popalign/store/pairs/pair_rows.hpp>

namespace popalign::store {
namespace {

/// Short answers are equal for good reasons: "Yes.", a number, a class.
constexpr std::size_t shortest_answer = 100;

/// Which of a rank's rows repeat; rows of other ranks do not.
struct Repeats {
    std::uint64_t first_row;
    std::vector<std::uint8_t> local;

    bool at(std::uint64_t row) const {
        return row >= first_row && row - first_row < local.size() && local[row - first_row] != 0;
    }
};

}  // namespace

void PairRepeats::add(const Instruction& next) {
    const std::uint64_t row = first_instruction_ + instructions_++;
    instruction_texts_.add(row, row, as_transcript(next));
}

void PairRepeats::add(const Response& next) {
    const std::uint64_t local = responses_++;
    if (next.text.size() < shortest_answer)
        return;
    response_texts_.add(first_response_ + local, next.instruction, next.text);
    long_responses_.push_back(local);
}

void PairRepeats::flag(const comm::Communicator& comm, std::span<PreferencePair> pairs) const {
    const Repeats instructions{first_instruction_, instruction_texts_.find(comm)};
    Repeats answers{first_response_, std::vector<std::uint8_t>(responses_, 0)};
    const auto found = response_texts_.find(comm);
    for (std::size_t i = 0; i < long_responses_.size(); ++i)
        answers.local[long_responses_[i]] = found[i];
    for (PreferencePair& pair : pairs) {
        if (instructions.at(pair.instruction))
            pair.flags |= static_cast<std::uint32_t>(PairFlag::repeated_instruction);
        if (answers.at(pair.chosen) || answers.at(pair.rejected))
            pair.flags |= static_cast<std::uint32_t>(PairFlag::repeated_answer);
    }
}

void flag_repeats(const comm::Communicator& comm, PairBlock& block) {
    PairRepeats repeats(comm::exclusive_scan(comm, block.instructions.size()),
                        comm::exclusive_scan(comm, block.responses.size()));
    for (const Instruction& row : block.instructions)
        repeats.add(row);
    for (const Response& row : block.responses)
        repeats.add(row);
    repeats.flag(comm, block.pairs);
}

}  // namespace popalign::store
