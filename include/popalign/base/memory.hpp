#pragma once

#include <cstdint>

namespace popalign {

/// Returns the bytes still available to this process and its siblings: the memory that the kernel
/// reports as available, at most what the limit of the control group (a Slurm job, a container)
/// leaves. Returns the largest std::uint64_t if neither is known.
std::uint64_t available_memory();

/// Returns the peak resident size of this process [byte].
std::uint64_t peak_memory();

}  // namespace popalign
