#include "lm/kernels/panel_kernel_body.hpp"

namespace popalign::lm::kernel {

void multiply_panel_avx2(const PanelProduct& product) {
    multiply_panel<6, 8, 2>(product);
}

}  // namespace popalign::lm::kernel
