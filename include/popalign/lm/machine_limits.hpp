#pragma once

#include <ATen/core/ScalarType.h>
#include <c10/core/Device.h>

namespace popalign {

/// What this machine can do at most, measured now, with the threads that the caller has.
struct MachineLimits {
    double gemm_flops = 0;      ///< large matrix products in `dtype` [1/s]
    double copy_bandwidth = 0;  ///< bytes read and written by a large copy [byte/s]
};

/// The best of several runs; takes about 2 s and 600 MB.
MachineLimits measure_machine_limits(at::ScalarType dtype, at::Device device);

}  // namespace popalign
