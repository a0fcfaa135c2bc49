#pragma once

#include "lm/matrix_product.hpp"

/// float32 products on the bfloat16 matrix units of a processor (Intel AMX). A float32 number is
/// the sum of three bfloat16 numbers, each below 2^-8 of the one before; of the nine products of
/// parts the six above 2^-24 of the whole are added up, in float32. That is as exact as a chain of
/// fused multiply-adds, except that an infinite factor makes NaN.
namespace popalign::kernel {

/// Whether this processor has such units and the operating system lets this process use them.
bool has_tiles();

/// On the calling thread: products of the same depth. A side that is the same as in the product
/// before is prepared once. An element depends on its row and column alone.
void multiply_by_tiles(std::span<const MatrixProduct> products);

}  // namespace popalign::kernel
