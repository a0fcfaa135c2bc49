#include "lm/tile_product.hpp"

namespace popalign::kernel {

bool has_tiles() {
    return false;
}

void multiply_by_tiles(std::span<const MatrixProduct> products) {
    for (const MatrixProduct& product : products)
        multiply_by_panels(product);
}

}  // namespace popalign::kernel
