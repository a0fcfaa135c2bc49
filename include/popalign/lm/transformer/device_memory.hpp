#pragma once

#include <c10/core/Device.h>

#include <cstdint>

namespace popalign::lm {

/// Bytes that a rank may still take on `device`: an equal share of what the node's memory has left
/// for each of its `ranks`, or of what its GPU has left for each that shares it.
std::uint64_t free_memory(at::Device device, int ranks);

/// The most bytes that this process has held so far, on a GPU those of libtorch's allocator.
std::uint64_t peak_memory(at::Device device);

}  // namespace popalign::lm
