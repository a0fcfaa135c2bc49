#include "lm/transformer/panel_matrix.hpp"

#include <popalign/lm/transformer/peak_performance.hpp>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <chrono>

namespace popalign::lm {
namespace {

/// Seconds of the fastest of several calls.
template <class Run>
double fastest(int repeats, const Run& run) {
    double best = 1e30;
    for (int i = 0; i < repeats; ++i) {
        const auto start = std::chrono::steady_clock::now();
        run();
        best = std::min(
            best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return best;
}

}  // namespace

PeakPerformance measure_peak_performance(at::ScalarType dtype, at::Device device) {
    const c10::AutoGradMode no_gradients(false);
    const auto options = at::TensorOptions().dtype(dtype).device(device);
    const std::int64_t size = device.is_cpu() ? 2048 : 8192;
    // A device's products of constants are faster than any of real numbers: they take less power.
    const at::Tensor x = at::randn({size, size}, options);
    const at::Tensor weight = at::randn({size, size}, options);
    WeightMemory memory;
    PanelMatrix packed(memory, size, size, options);
    packed.fill(weight, 0);
    at::Tensor result;
    // Reading one element waits for a device that runs on its own.
    const auto seconds = [&](const auto& multiply) {
        return fastest(10, [&] {
            result = multiply();
            result[0][0].item();
        });
    };
    const double gemm = std::min(seconds([&] { return at::linear(x, weight); }),
                                 seconds([&] { return packed.apply(x); }));
    const at::Tensor from = at::ones({std::int64_t{64} << 20}, options.dtype(at::kFloat));
    const at::Tensor to = at::empty_like(from);
    const double copy = fastest(6, [&] {
        to.copy_(from);
        to[0].item();
    });
    const auto n = static_cast<double>(size);
    return {2 * n * n * n / gemm, 2.0 * static_cast<double>(from.nbytes()) / copy};
}

}  // namespace popalign::lm
