#include "lm/kernels/tile_product.hpp"

namespace popalign::lm::kernel {

bool has_tiles() {
    return false;
}

void multiply_by_tiles(std::span<const MatrixProduct> products) {
    for (const MatrixProduct& product : products)
        multiply_by_panels(product);
}

const float* pack_tiles(const MatrixView&, std::int64_t, std::int64_t, PanelBuffer&) {
    return nullptr;
}

void multiply_by_packed_tiles(const MatrixProduct& product, const float*, std::int64_t) {
    multiply_by_panels(product);
}

}  // namespace popalign::lm::kernel
