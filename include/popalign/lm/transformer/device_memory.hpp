#pragma once

#include <c10/core/Device.h>

#include <cstdint>

namespace popalign::lm {

/// Returns the bytes that a rank may still take on `device`: an equal share of the free memory of
/// the node for each of its `ranks`, or of the free memory of its GPU for each rank that shares it.
std::uint64_t free_memory(at::Device device, int ranks);

/// Returns the peak memory of this process [byte]; on a GPU that of libtorch's allocator.
std::uint64_t peak_memory(at::Device device);

}  // namespace popalign::lm
