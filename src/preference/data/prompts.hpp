#pragma once

#include "preference/data/pair_data.hpp"

#include <popalign/base/range.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/store/pairs/pair_file.hpp>

#include <algorithm>
#include <vector>

namespace popalign::preference {

/// Calls `visit` with consecutive blocks of the range, to bound memory.
template <class Visit>
void in_blocks(Range range, Visit&& visit) {
    constexpr std::size_t block_rows = 4096;
    for (std::size_t begin = range.begin; begin < range.end; begin += block_rows)
        visit(Range{begin, std::min(begin + block_rows, range.end)});
}

/// Returns for each instruction whether it is selected. Collective.
std::vector<bool> wanted_instructions(const comm::Communicator& comm, const store::PairFile& file,
                                      const PairSelection& selection);

/// Encodes the instruction as a policy's prompt, without any strategy's template.
std::vector<TokenId> encode_prompt(const lm::ModelFrontEnd& front_end,
                                   const Instruction& instruction);

}  // namespace popalign::preference
