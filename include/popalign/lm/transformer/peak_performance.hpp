#pragma once

#include <ATen/core/ScalarType.h>
#include <c10/core/Device.h>

namespace popalign::lm {

/// Peak speeds of a device, measured with the caller's number of threads.
struct PeakPerformance {
    double gemm_flops = 0;      ///< large matrix products in `dtype` [1/s]
    double copy_bandwidth = 0;  ///< bytes read and written by a large copy [byte/s]
};

/// Measures the best of several runs; takes about 2 s and 600 MB.
PeakPerformance measure_peak_performance(at::ScalarType dtype, at::Device device);

}  // namespace popalign::lm
