#include "lm/kernels/panel_kernel_body.hpp"

namespace popalign::lm::kernel {

void multiply_panel_avx512(const PanelProduct& product) {
    multiply_panel<12, 16, 2>(product);
}

}  // namespace popalign::lm::kernel
