#pragma once

#include <popalign/comm/communicator.hpp>
#include <popalign/store/journal/response_index.hpp>
#include <popalign/store/pairs/pair_rows.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

namespace popalign::store {

/// What becomes of journalled responses.
struct MergeInputs {
    std::filesystem::path output;
    PairFileHeader header;
    std::uint64_t instructions = 0;
    /// Row of /instructions to instruction; called for this rank's rows only.
    std::function<Instruction(std::uint64_t)> instruction;
    struct Pair {
        std::uint32_t chosen = 0, rejected = 0;  ///< generations
        std::uint32_t strategy = 0;
    };
    std::vector<Pair> pairs;  ///< of an instruction, in their order
    /// Whether the instruction is to have the generation's answer, and the pair.
    std::function<bool(std::uint64_t instruction, std::size_t generation)> has_response;
    std::function<bool(std::uint64_t instruction, std::size_t pair)> has_pair;
    std::function<std::uint32_t(const Instruction&, const Response&, const Response&)> flags;
    enum class Repeats { flagged, ignored } repeats = Repeats::flagged;
    /// What answers and copies of them may take on a rank. (Where they are
    /// takes 130 bytes each, signatures that tell repeats 300.)
    std::uint64_t memory_bytes = std::uint64_t{256} << 20;
    /// Whether an answer that no journal holds is an error. Without it the file has what pairs
    /// there are, with their instructions, in the same order.
    enum class Missing { error, left_out } missing = Missing::error;
};

struct MergeReport {
    std::uint64_t responses = 0, wanted = 0;  ///< in the journals, and in all
    std::uint64_t pairs = 0;                  ///< in the file
    std::vector<PreferencePair> own_pairs;    ///< those that this rank wrote
    std::vector<std::uint64_t> retries;       ///< by generation: further attempts at answers
};

/// Journals to pair file: rows are shared out over the ranks, counted, placed by exclusive scan,
/// and then fetched from the ranks that hold the journals, in windows of bounded size. Of a
/// response that is there twice the first counts. Throws AgreedError. Collective.
MergeReport merge_responses(const comm::Communicator& comm, const ResponseIndex& index,
                            const MergeInputs& inputs);

}  // namespace popalign::store
