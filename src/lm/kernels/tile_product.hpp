#pragma once

#include "lm/kernels/matrix_product.hpp"

/// float32 products on the bfloat16 matrix units of a processor (Intel AMX). A float32 number is
/// the sum of three bfloat16 numbers, each below 2^-8 of the one before; of the nine products of
/// parts the six above 2^-24 of the whole are added up, in float32. That is as exact as a chain of
/// fused multiply-adds, except that an infinite factor makes NaN.
namespace popalign::lm::kernel {

/// Whether this processor has such units and the operating system lets this process use them.
bool has_tiles();

/// On the calling thread: products of the same depth. A side that is the same as in the product
/// before is prepared once. An element depends on its row and column alone.
void multiply_by_tiles(std::span<const MatrixProduct> products);

/// `right` [depth, columns] for several products on the calling thread; lies in `buffer`.
const float* pack_tiles(const MatrixView& right, std::int64_t depth, std::int64_t columns,
                        PanelBuffer& buffer);
/// With the first rows and columns of what was packed in place of the product's right side; a left
/// element beyond the product's depth counts as 0.
void multiply_by_packed_tiles(const MatrixProduct& product, const float* packed,
                              std::int64_t packed_depth);

}  // namespace popalign::lm::kernel
