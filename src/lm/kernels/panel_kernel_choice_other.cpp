#include "lm/kernels/panel_kernel.hpp"

namespace popalign::kernel {

std::vector<MultiplyPanel> multiply_panels() {
    return {multiply_panel_portable};
}

}  // namespace popalign::kernel
