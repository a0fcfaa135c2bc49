#include "lm/kernels/panel_kernel_body.hpp"

namespace popalign::lm::kernel {

void multiply_panel_portable(const PanelProduct& product) {
    multiply_panel<4, 4, 2>(product);
}

}  // namespace popalign::lm::kernel
