#include <popalign/comm/collectives.hpp>
#include <popalign/store/pair_repeats.hpp>
#include <popalign/store/text_repeats.hpp>

namespace popalign {
namespace {

/// Short answers are equal for good reasons: "Yes.", a number, a class.
constexpr std::size_t shortest_answer = 100;

/// Which of a block's rows repeat; rows of other blocks do not.
struct Repeats {
    std::uint64_t first_row;
    std::vector<std::uint8_t> local;

    bool at(std::uint64_t row) const {
        return row >= first_row && row - first_row < local.size() && local[row - first_row] != 0;
    }
};

/// Collective.
Repeats repeated_instructions(const Communicator& comm, const PairBlock& block) {
    const std::uint64_t first = exclusive_scan(comm, block.instructions.size());
    TextRepeats texts;
    for (std::size_t i = 0; i < block.instructions.size(); ++i)
        texts.add(first + i, first + i, as_transcript(block.instructions[i]));
    return {first, texts.find(comm)};
}

/// Collective.
Repeats repeated_answers(const Communicator& comm, const PairBlock& block) {
    const std::uint64_t first = exclusive_scan(comm, block.responses.size());
    TextRepeats texts;
    std::vector<std::size_t> added;
    for (std::size_t i = 0; i < block.responses.size(); ++i) {
        const Response& response = block.responses[i];
        if (response.text.size() < shortest_answer)
            continue;
        texts.add(first + i, response.instruction, response.text);
        added.push_back(i);
    }
    const auto found = texts.find(comm);
    Repeats repeats{first, std::vector<std::uint8_t>(block.responses.size(), 0)};
    for (std::size_t i = 0; i < added.size(); ++i)
        repeats.local[added[i]] = found[i];
    return repeats;
}

}  // namespace

void flag_repeats(const Communicator& comm, PairBlock& block) {
    const Repeats instructions = repeated_instructions(comm, block);
    const Repeats answers = repeated_answers(comm, block);
    for (PreferencePair& pair : block.pairs) {
        if (instructions.at(pair.instruction))
            pair.flags |= static_cast<std::uint32_t>(PairFlag::repeated_instruction);
        if (answers.at(pair.chosen) || answers.at(pair.rejected))
            pair.flags |= static_cast<std::uint32_t>(PairFlag::repeated_answer);
    }
}

}  // namespace popalign
