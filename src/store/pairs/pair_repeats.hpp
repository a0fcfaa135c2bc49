#pragma once

#include "store/pairs/text_repeats.hpp"

#include <popalign/store/pairs/pair_rows.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace popalign::store {

/// Flags pairs whose instruction or answer repeats an earlier text of the file that the ranks' rows
/// form. Takes a rank's rows one by one and keeps only signatures of the texts. Answers of less
/// than 100 bytes, and answers to the same instruction, are not repeats.
class PairRepeats {
  public:
    /// Takes the global row numbers of this rank's first instruction and response.
    PairRepeats(std::uint64_t first_instruction, std::uint64_t first_response)
        : first_instruction_(first_instruction), first_response_(first_response) {}

    void add(const Instruction& next);
    void add(const Response& next);
    /// Flags repeats in `pairs`, whose rows must have been added on this rank. Collective.
    void flag(const comm::Communicator& comm, std::span<PreferencePair> pairs) const;

  private:
    std::uint64_t first_instruction_, first_response_, instructions_ = 0, responses_ = 0;
    TextRepeats instruction_texts_, response_texts_;
    std::vector<std::uint64_t> long_responses_;  // rows, from 0 on
};

/// Flags repeats in a whole block. Collective.
void flag_repeats(const comm::Communicator& comm, PairBlock& block);

}  // namespace popalign::store
