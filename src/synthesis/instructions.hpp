#pragma once

#include "synthesis/setup.hpp"

#include <popalign/comm/communicator.hpp>

#include <vector>

namespace popalign::synthesis {

/// Reads the instructions that the options select, the held-out ones last. Throws InputError.
std::vector<Instruction> select_instructions(const InstructionOptions& options);

/// Returns `setup.instructions` without those whose first prompt is too long for a generation, and
/// moves from them. Logs a warning about those left out. Throws AgreedError if none is left.
/// Collective.
std::vector<Instruction> fitting_instructions(const comm::Communicator& comm,
                                              const SynthesisInputs& inputs, SynthesisSetup& setup);

}  // namespace popalign::synthesis
