#pragma once

#include <popalign/comm/communicator.hpp>
#include <popalign/store/journal/response_index.hpp>
#include <popalign/store/pairs/pair_rows.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

namespace popalign::store {

/// Description of the pair file that is made of journalled responses.
struct MergeInputs {
    std::filesystem::path output;
    PairFileHeader header;
    std::uint64_t instructions = 0;
    /// Returns the instruction of a row of /instructions; called for this rank's rows only.
    std::function<Instruction(std::uint64_t)> instruction;
    struct Pair {
        std::uint32_t chosen = 0, rejected = 0;  ///< generations
        std::uint32_t strategy = 0;
    };
    std::vector<Pair> pairs;  ///< pairs of each instruction, in order
    /// Returns whether the instruction shall have the generation's answer, or the pair.
    std::function<bool(std::uint64_t instruction, std::size_t generation)> has_response;
    std::function<bool(std::uint64_t instruction, std::size_t pair)> has_pair;
    std::function<std::uint32_t(const Instruction&, const Response&, const Response&)> flags;
    enum class Repeats { flagged, ignored } repeats = Repeats::flagged;
    /// Memory for answers and copies of them, per rank [byte]. Not included: locations (130 bytes
    /// per answer) and the signatures that find repeats (300 bytes).
    std::uint64_t memory_bytes = std::uint64_t{256} << 20;
    /// Treatment of answers that no journal holds. With `left_out` the file has the available pairs
    /// and their instructions, in the same order.
    enum class Missing { error, left_out } missing = Missing::error;
};

struct MergeReport {
    std::uint64_t responses = 0, wanted = 0;  ///< available in the journals, and needed in total
    std::uint64_t pairs = 0;                  ///< in the file
    std::vector<PreferencePair> own_pairs;    ///< pairs that this rank wrote
    std::vector<std::uint64_t> retries;       ///< by generation: number of repeated attempts
};

/// Merges journals into a pair file. Rows are divided among the ranks, counted, placed by an
/// exclusive scan, and then fetched from the ranks that hold the journals, in windows of bounded
/// size. If a response occurs twice, the first is used. Throws AgreedError. Collective.
MergeReport merge_responses(const comm::Communicator& comm, const ResponseIndex& index,
                            const MergeInputs& inputs);

}  // namespace popalign::store
