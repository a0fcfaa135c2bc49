#pragma once

#include "lm/kernels/panel_kernel.hpp"

// Included by one file for each instruction set, compiled with its options: all is local to them.
namespace popalign::lm::kernel {
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
/// Element (i, c) of a tile's left side is `data[i * row_stride + c * column_stride]`.
template <LeftLayout layout>
struct LeftTile {
    const float* data;
    std::int64_t row_stride;
    static constexpr std::int64_t column_stride = 1;

    LeftTile(const PanelProduct& product, std::int64_t row)
        : data(product.x + row * product.x_stride), row_stride(product.x_stride) {}
};

template <>
struct LeftTile<LeftLayout::groups> {
    const float* data;
    static constexpr std::int64_t row_stride = 1, column_stride = group_rows;

    LeftTile(const PanelProduct& product, std::int64_t row)
        : data(product.x + row / group_rows * group_rows * product.columns + row % group_rows) {}
};

template <LeftLayout layout, int row_count, int width, int vectors>
void multiply_tile(const PanelProduct& product, std::int64_t row, std::int64_t column) {
    using Vector = typename VectorOf<width>::Type;
    const LeftTile<layout> x(product, row);
    const float* const panel = product.panel + column;
    float* const output = product.output + row * product.output_stride + column;
    const auto place = [&](int i, int j) { return output + i * product.output_stride + j * width; };
    // The tile below comes next; its sums are needed before its first product.
    for (int i = 0; i < row_count; ++i)
        for (int j = 0; j < vectors; ++j)
            __builtin_prefetch(place(row_count + i, j), 1);
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
                sums[i][j] += x.data[i * x.row_stride + c * x.column_stride] * weights[j];
    }
    for (int i = 0; i < row_count; ++i)
        for (int j = 0; j < vectors; ++j)
            store(sums[i][j], place(i, j));
}

template <LeftLayout layout, int row_count, int width, int vectors>
void multiply_rest(const PanelProduct& product, std::int64_t row, std::int64_t column) {
    if constexpr (row_count > 0) {
        if (product.rows - row == row_count)
            multiply_tile<layout, row_count, width, vectors>(product, row, column);
        else
            multiply_rest<layout, row_count - 1, width, vectors>(product, row, column);
    }
}

template <LeftLayout layout, int row_count, int width, int vectors>
void multiply_panel_of(const PanelProduct& product) {
    static_assert(group_rows % row_count == 0);  // a tile lies in one group
    for (std::int64_t column = 0; column < panel_width; column += width * vectors) {
        std::int64_t row = 0;
        for (; row + row_count <= product.rows; row += row_count)
            multiply_tile<layout, row_count, width, vectors>(product, row, column);
        multiply_rest<layout, row_count - 1, width, vectors>(product, row, column);
    }
}

template <int row_count, int width, int vectors>
void multiply_panel(const PanelProduct& product) {
    if (product.layout == LeftLayout::rows)
        multiply_panel_of<LeftLayout::rows, row_count, width, vectors>(product);
    else
        multiply_panel_of<LeftLayout::groups, row_count, width, vectors>(product);
}

}  // namespace
}  // namespace popalign::lm::kernel
