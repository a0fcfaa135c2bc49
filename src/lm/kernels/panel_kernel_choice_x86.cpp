#include "lm/kernels/panel_kernel.hpp"

namespace popalign::lm::kernel {

std::vector<MultiplyPanel> multiply_panels() {
    std::vector<MultiplyPanel> kernels;
    if (__builtin_cpu_supports("avx512f"))
        kernels.push_back(multiply_panel_avx512);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        kernels.push_back(multiply_panel_avx2);
    kernels.push_back(multiply_panel_portable);
    return kernels;
}

}  // namespace popalign::lm::kernel
