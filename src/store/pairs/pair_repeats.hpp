#pragma once

#include "store/pairs/text_repeats.hpp"

#include <popalign/store/pairs/pair_rows.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace popalign::store {

/// Flags pairs whose instruction, or one of whose answers, repeats a text that comes before it in
/// the file that the ranks' rows make. Takes a rank's rows one by one; of the texts it keeps
/// signatures. Answers of less than 100 bytes and those to one instruction are no repeats.
class PairRepeats {
  public:
    /// The rows, of all ranks', of this rank's first ones.
    PairRepeats(std::uint64_t first_instruction, std::uint64_t first_response)
        : first_instruction_(first_instruction), first_response_(first_response) {}

    void add(const Instruction& next);
    void add(const Response& next);
    /// Of `pairs`, those whose rows were added here. Collective.
    void flag(const comm::Communicator& comm, std::span<PreferencePair> pairs) const;

  private:
    std::uint64_t first_instruction_, first_response_, instructions_ = 0, responses_ = 0;
    TextRepeats instruction_texts_, response_texts_;
    std::vector<std::uint64_t> long_responses_;  // rows, from 0 on
};

/// A whole block at once. Collective.
void flag_repeats(const comm::Communicator& comm, PairBlock& block);

}  // namespace popalign::store
