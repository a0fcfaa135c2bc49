#pragma once

#include <popalign/store/pair_store.hpp>

namespace popalign {

/// Flags pairs whose instruction, or one of whose answers, repeats a text that comes before it in
/// the file that the ranks' blocks make. A rank flags those of its pairs whose rows are in its own
/// block. Answers of less than 100 bytes and those to one instruction are no repeats. Collective.
void flag_repeats(const Communicator& comm, PairBlock& block);

}  // namespace popalign
