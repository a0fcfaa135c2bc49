#pragma once

#include <popalign/comm/communicator.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>

#include <filesystem>

namespace popalign::test {

/// A byte tokenizer with ChatML's special tokens: one token a byte.
lm::ModelFrontEnd byte_front_end();

/// An HF directory of a tiny model with that front end. Called by one rank.
void write_tiny_model(const std::filesystem::path& directory);

/// Ten instructions, the last two held out; strategies "good" and "other"; pair 2 i is of "good",
/// 2 i + 1 of "other". Pair 3 is flagged as identical, the chosen answer of pair 4 was cut off,
/// that of pair 6 is long. Collective.
void write_tiny_pairs(const comm::Communicator& comm, const std::filesystem::path& path);

}  // namespace popalign::test
