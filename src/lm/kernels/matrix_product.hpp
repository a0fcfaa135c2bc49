#pragma once

#include "lm/kernels/panel_kernel.hpp"

#include <cstdint>
#include <memory>
#include <span>

/// Matrix products of training: either side may be transposed, the result may be added to the
/// output, and no operand is prepared beforehand.
namespace popalign::lm::kernel {

/// Element (i, j) is `data[i * row_stride + j * column_stride]`; one of the strides is 1.
struct MatrixView {
    const float* data;
    std::int64_t row_stride, column_stride;

    static MatrixView rows(const float* data, std::int64_t stride) noexcept {
        return {data, stride, 1};
    }
    MatrixView transposed() const noexcept { return {data, column_stride, row_stride}; }
    MatrixView from(std::int64_t row, std::int64_t column) const noexcept {
        return {data + row * row_stride + column * column_stride, row_stride, column_stride};
    }
    bool operator==(const MatrixView&) const = default;
};

/// Memory for panels, aligned for vector loads.
class PanelBuffer {
  public:
    /// Returns memory for at least `count` floats; the old contents are lost.
    float* reserve(std::int64_t count);

  private:
    struct Free {
        void operator()(float* data) const noexcept;
    };
    std::unique_ptr<float, Free> data_;
    std::int64_t size_ = 0;
};

/// A right-hand side [depth, columns], prepared to be multiplied with several times.
class Panels {
  public:
    void pack(const MatrixView& right, std::int64_t depth, std::int64_t columns);
    /// `output[rows, columns] (+)= left[rows, depth] * right` of the first `depth` rows and
    /// `columns` columns; the output has room for whole panels.
    void multiply(const MatrixView& left, std::int64_t rows, std::int64_t depth,
                  std::int64_t columns, float* output, std::int64_t stride, PanelOutput mode) const;

  private:
    PanelBuffer buffer_;
    std::int64_t depth_ = 0;
    const float* panels_ = nullptr;
};

/// `output[rows, columns] (+)= left[rows, depth] * right[depth, columns]`. An element depends on
/// its row and column alone, not on how many there are beside it.
struct MatrixProduct {
    std::int64_t rows, columns, depth;
    MatrixView left, right;
    float* output;
    std::int64_t output_stride;
    PanelOutput mode;
};
/// On the calling thread; an element is one chain of fused multiply-adds in the order of the depth,
/// in each of its blocks.
void multiply_by_panels(const MatrixProduct& product);
/// By the fastest means that this processor has, on all threads; the result is the same for any
/// number of them. Several products of the same depth have the same left side or the same right
/// side, which is prepared once.
void multiply(std::span<const MatrixProduct> products);
inline void multiply(const MatrixProduct& product) {
    multiply(std::span(&product, 1));
}

}  // namespace popalign::lm::kernel
