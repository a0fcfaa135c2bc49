#include "lm/kernels/panel_kernel.hpp"

namespace popalign::lm::kernel {

std::vector<MultiplyPanel> multiply_panels() {
    return {multiply_panel_portable};
}

}  // namespace popalign::lm::kernel
