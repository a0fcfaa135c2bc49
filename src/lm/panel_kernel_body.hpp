#pragma once

#include "lm/panel_kernel.hpp"

// Included by one file for each instruction set, compiled with its options: all is local to them.
namespace popalign::kernel {
namespace {

template <int width>
struct VectorOf {
    typedef float Type __attribute__((vector_size(width * sizeof(float))));
};

template <class Vector>
Vector load(const float* from) {
    Vector value;
    __builtin_memcpy(&value, from, sizeof value);  // at any alignment
    return value;
}

template <class Vector>
void store(const Vector& value, float* to) {
    __builtin_memcpy(to, &value, sizeof value);
}

/// `row_count` rows against `vectors` vectors of `width` columns of the panel; the sums stay in
/// registers.
template <int row_count, int width, int vectors>
void multiply_tile(const PanelProduct& product, std::int64_t row, std::int64_t column) {
    using Vector = typename VectorOf<width>::Type;
    const float* const x = product.x + row * product.x_stride;
    const float* const panel = product.panel + column;
    float* const output = product.output + row * product.output_stride + column;
    const auto place = [&](int i, int j) { return output + i * product.output_stride + j * width; };
    Vector sums[row_count][vectors];
    for (int i = 0; i < row_count; ++i)
        for (int j = 0; j < vectors; ++j)
            sums[i][j] = product.mode == PanelOutput::add ? load<Vector>(place(i, j)) : Vector{};
    for (std::int64_t c = 0; c < product.columns; ++c) {
        Vector weights[vectors];
        for (int j = 0; j < vectors; ++j)
            weights[j] = load<Vector>(panel + c * panel_width + j * width);
#pragma GCC unroll 16
        for (int i = 0; i < row_count; ++i)
            for (int j = 0; j < vectors; ++j)
                sums[i][j] += x[i * product.x_stride + c] * weights[j];
    }
    for (int i = 0; i < row_count; ++i)
        for (int j = 0; j < vectors; ++j)
            store(sums[i][j], place(i, j));
}

template <int row_count, int width, int vectors>
void multiply_rest(const PanelProduct& product, std::int64_t row, std::int64_t column) {
    if constexpr (row_count > 0) {
        if (product.rows - row == row_count)
            multiply_tile<row_count, width, vectors>(product, row, column);
        else
            multiply_rest<row_count - 1, width, vectors>(product, row, column);
    }
}

template <int row_count, int width, int vectors>
void multiply_panel(const PanelProduct& product) {
    for (std::int64_t column = 0; column < panel_width; column += width * vectors) {
        std::int64_t row = 0;
        for (; row + row_count <= product.rows; row += row_count)
            multiply_tile<row_count, width, vectors>(product, row, column);
        multiply_rest<row_count - 1, width, vectors>(product, row, column);
    }
}

}  // namespace
}  // namespace popalign::kernel
