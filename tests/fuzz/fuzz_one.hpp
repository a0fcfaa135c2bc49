#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace popalign::fuzz {

/// Runs a fuzzer on one input; each program has its own. It may only return: an exception
/// that leaves it, a sanitizer's report and ten seconds of work are findings.
void fuzz_one(std::span<const std::uint8_t> input);

}  // namespace popalign::fuzz
