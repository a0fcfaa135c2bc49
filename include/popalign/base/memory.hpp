#pragma once

#include <cstdint>

namespace popalign {

/// Bytes that this process and others like it may still take: what the kernel counts as available,
/// within what its control group (a Slurm job, a container) leaves. All there is if neither tells.
std::uint64_t available_memory();

/// The most bytes that this process has held in memory so far.
std::uint64_t peak_memory();

}  // namespace popalign
