#pragma once

#include <ATen/core/ScalarType.h>
#include <c10/core/Device.h>

#include <cstdint>

namespace popalign::lm {

/// What this machine can do at most, measured now, with the threads that the caller has.
struct MachineLimits {
    double gemm_flops = 0;      ///< large matrix products in `dtype` [1/s]
    double copy_bandwidth = 0;  ///< bytes read and written by a large copy [byte/s]
};

/// The best of several runs; takes about 2 s and 600 MB.
MachineLimits measure_machine_limits(at::ScalarType dtype, at::Device device);

/// Bytes that a rank may still take on `device`: an equal share of what the node's memory has left
/// for each of its `ranks`, or of what its GPU has left for each that shares it.
std::uint64_t free_memory(at::Device device, int ranks);

/// The most bytes that this process has held so far, on a GPU those of libtorch's allocator.
std::uint64_t peak_memory(at::Device device);

}  // namespace popalign::lm
