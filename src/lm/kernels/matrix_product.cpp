#include "lm/kernels/matrix_product.hpp"

#include "lm/kernels/tile_product.hpp"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <utility>
#include <vector>

namespace popalign::lm::kernel {
namespace {

/// Rows of the left side and depth that stay in the second-level cache while panels pass by, and
/// columns that are packed at once.
constexpr std::int64_t row_block = 192, depth_block = 576, column_block = 2048;

std::int64_t whole_panels(std::int64_t columns) {
    return (columns + panel_width - 1) / panel_width * panel_width;
}

/// `to[j * to_stride + i] = from[i * from_stride + j]`, in tiles that fit the first-level cache.
void transpose(const float* from, std::int64_t from_stride, std::int64_t rows, std::int64_t columns,
               float* to, std::int64_t to_stride) {
    constexpr std::int64_t tile = 16;
    for (std::int64_t row = 0; row < rows; row += tile)
        for (std::int64_t column = 0; column < columns; column += tile) {
            const std::int64_t last_row = std::min(row + tile, rows);
            const std::int64_t last_column = std::min(column + tile, columns);
            for (std::int64_t i = row; i < last_row; ++i)
                for (std::int64_t j = column; j < last_column; ++j)
                    to[j * to_stride + i] = from[i * from_stride + j];
        }
}

/// `panels` [columns / panel_width, depth, panel_width], with zeros beside the last columns.
void pack_panels(const MatrixView& right, std::int64_t depth, std::int64_t columns, float* panels) {
    for (std::int64_t column = 0; column < columns; column += panel_width) {
        const std::int64_t width = std::min(panel_width, columns - column);
        float* const to = panels + column * depth;
        if (width < panel_width)
            std::fill_n(to, depth * panel_width, 0.0F);
        const MatrixView from = right.from(0, column);
        if (from.column_stride == 1)
            for (std::int64_t c = 0; c < depth; ++c)
                std::copy_n(from.data + c * from.row_stride, width, to + c * panel_width);
        else
            transpose(from.data, from.column_stride, width, depth, to, panel_width);
    }
}

/// One block of rows against panels; the last one may have fewer columns than the output has room.
void multiply_rows(const PanelProduct& first, std::int64_t columns, std::int64_t panel_stride) {
    static const MultiplyPanel multiply_panel = multiply_panels().front();
    PanelProduct product = first;
    for (std::int64_t column = 0; column < columns; column += panel_width) {
        product.panel = first.panel + column / panel_width * panel_stride;
        product.output = first.output + column;
        const std::int64_t width = std::min(panel_width, columns - column);
        if (width == panel_width) {
            multiply_panel(product);
            continue;
        }
        // The whole panel lies beside; its sums go on from what is there, as they do in the output.
        float beside[row_block * panel_width] = {};
        const auto rows_of = [&](std::int64_t i) {
            return std::pair(first.output + i * first.output_stride + column,
                             beside + i * panel_width);
        };
        if (first.mode == PanelOutput::add)
            for (std::int64_t i = 0; i < first.rows; ++i) {
                const auto [there, copy] = rows_of(i);
                std::copy_n(there, width, copy);
            }
        product.output = beside;
        product.output_stride = panel_width;
        multiply_panel(product);
        for (std::int64_t i = 0; i < first.rows; ++i) {
            const auto [there, copy] = rows_of(i);
            std::copy_n(copy, width, there);
        }
    }
}

/// A block of the left side as the kernels want it.
class LeftBlock {
  public:
    /// Fills in `x`, its stride and layout for `rows` x `columns` of `left`.
    void set(PanelProduct& product, const MatrixView& left) {
        product.x = left.data;
        product.x_stride = left.row_stride;
        if (left.column_stride == 1)
            return;
        product.layout = LeftLayout::groups;
        float* to = buffer_.reserve(row_block * depth_block);
        product.x = to;
        for (std::int64_t row = 0; row < product.rows; row += group_rows) {
            const std::int64_t count = std::min(group_rows, product.rows - row);
            const float* from = left.from(row, 0).data;
            for (std::int64_t c = 0; c < product.columns;
                 ++c, to += group_rows, from += left.column_stride)
                if (count == group_rows)
                    std::memcpy(to, from, group_rows * sizeof(float));
                else
                    std::copy_n(from, count, to);
        }
    }

  private:
    PanelBuffer buffer_;
};

PanelOutput mode_at(std::int64_t depth, PanelOutput mode) {
    return depth == 0 ? mode : PanelOutput::add;
}

bool uses_tiles(const MatrixProduct& product) {
    constexpr std::int64_t least = 32;
    return product.columns >= least && product.depth >= least && has_tiles();
}

/// How a product is divided.
struct Grid {
    std::int64_t rows, columns;
};

/// Each part packs its own columns of the right side and, if need be, its rows of the left one.
Grid grid_of(const MatrixProduct& product, std::int64_t threads) {
    constexpr std::int64_t least_rows = 96, least_columns = 3 * panel_width;
    constexpr double packing = 64;  // a number packed, in multiplications
    const bool packs_left = product.left.column_stride != 1 || uses_tiles(product);
    const auto rows = static_cast<double>(product.rows);
    const auto columns = static_cast<double>(product.columns);
    Grid best{1, 1};
    double least = std::numeric_limits<double>::infinity();
    for (std::int64_t i = 1;
         i <= std::clamp<std::int64_t>(product.columns / least_columns, 1, threads); ++i) {
        const std::int64_t j = std::clamp<std::int64_t>(product.rows / least_rows, 1, threads / i);
        const double part_rows = rows / static_cast<double>(j);
        const double part_columns = columns / static_cast<double>(i);
        const double cost =
            part_rows * part_columns + packing * (part_columns + (packs_left ? part_rows : 0));
        if (cost < least) {
            least = cost;
            best = {j, i};
        }
    }
    return best;
}

struct IndexRange {
    std::int64_t begin, end;
};

/// Products as one: side by side where they have the same left side, else one below the other.
class JoinedProducts {
  public:
    explicit JoinedProducts(std::span<const MatrixProduct> products)
        : products_(products),
          whole_(products.front()),
          side_by_side_(products.back().left == products.front().left) {
        for (const MatrixProduct& product : products.subspan(1))
            (side_by_side_ ? whole_.columns : whole_.rows) +=
                side_by_side_ ? product.columns : product.rows;
    }

    /// Its sizes; the rest is the first product's.
    const MatrixProduct& whole() const noexcept { return whole_; }

    /// Returns the parts of the products in these rows and columns of the whole.
    std::vector<MatrixProduct> part(IndexRange rows, IndexRange columns) const {
        std::vector<MatrixProduct> parts;
        std::int64_t row = 0, column = 0;
        for (const MatrixProduct& product : products_) {
            const IndexRange in_rows = within(rows, row, product.rows);
            const IndexRange in_columns = within(columns, column, product.columns);
            (side_by_side_ ? column : row) += side_by_side_ ? product.columns : product.rows;
            if (in_rows.begin >= in_rows.end || in_columns.begin >= in_columns.end)
                continue;
            MatrixProduct& mine = parts.emplace_back(product);
            mine.rows = in_rows.end - in_rows.begin;
            mine.columns = in_columns.end - in_columns.begin;
            mine.left = product.left.from(in_rows.begin, 0);
            mine.right = product.right.from(0, in_columns.begin);
            mine.output += in_rows.begin * product.output_stride + in_columns.begin;
        }
        return parts;
    }

  private:
    static IndexRange within(IndexRange range, std::int64_t first, std::int64_t count) {
        return {std::max<std::int64_t>(range.begin - first, 0), std::min(range.end - first, count)};
    }

    std::span<const MatrixProduct> products_;
    MatrixProduct whole_;
    bool side_by_side_;
};

}  // namespace

void PanelBuffer::Free::operator()(float* data) const noexcept {
    std::free(data);
}

float* PanelBuffer::reserve(std::int64_t count) {
    constexpr std::size_t alignment = 64;
    if (count > size_) {
        const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(float);
        data_.reset(static_cast<float*>(
            std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment)));
        if (data_ == nullptr)
            throw std::bad_alloc();
        size_ = count;
    }
    return data_.get();
}

void Panels::pack(const MatrixView& right, std::int64_t depth, std::int64_t columns) {
    depth_ = depth;
    if (has_tiles()) {
        panels_ = pack_tiles(right, depth, columns, buffer_);
        return;
    }
    float* const panels = buffer_.reserve(depth * whole_panels(columns));
    pack_panels(right, depth, columns, panels);
    panels_ = panels;
}

void Panels::multiply(const MatrixView& left, std::int64_t rows, std::int64_t depth,
                      std::int64_t columns, float* output, std::int64_t stride,
                      PanelOutput mode) const {
    if (has_tiles()) {
        multiply_by_packed_tiles({rows, columns, depth, left, {}, output, stride, mode}, panels_,
                                 depth_);
        return;
    }
    LeftBlock left_block;
    for (std::int64_t at = 0; at < depth; at += depth_block)
        for (std::int64_t row = 0; row < rows; row += row_block) {
            PanelProduct block{nullptr,
                               0,
                               std::min(row_block, rows - row),
                               std::min(depth_block, depth - at),
                               panels_ + at * panel_width,
                               output + row * stride,
                               stride,
                               mode_at(at, mode)};
            left_block.set(block, left.from(row, at));
            multiply_rows(block, whole_panels(columns), depth_ * panel_width);
        }
}

void multiply_by_panels(const MatrixProduct& product) {
    PanelBuffer buffer;
    LeftBlock left_block;
    for (std::int64_t column = 0; column < product.columns; column += column_block) {
        const std::int64_t columns = std::min(column_block, product.columns - column);
        for (std::int64_t at = 0; at < product.depth; at += depth_block) {
            const std::int64_t deep = std::min(depth_block, product.depth - at);
            float* const panels = buffer.reserve(deep * whole_panels(columns));
            pack_panels(product.right.from(at, column), deep, columns, panels);
            for (std::int64_t row = 0; row < product.rows; row += row_block) {
                PanelProduct block{nullptr,
                                   0,
                                   std::min(row_block, product.rows - row),
                                   deep,
                                   panels,
                                   product.output + row * product.output_stride + column,
                                   product.output_stride,
                                   mode_at(at, product.mode)};
                left_block.set(block, product.left.from(row, at));
                multiply_rows(block, columns, deep * panel_width);
            }
        }
    }
}

void multiply(std::span<const MatrixProduct> products) {
    // Decided for whole products, so that the threads' parts do not differ in it.
    const bool by_tiles = std::all_of(products.begin(), products.end(), uses_tiles);
    const JoinedProducts joined(products);
    const MatrixProduct& whole = joined.whole();
    const std::int64_t panels = whole_panels(whole.columns) / panel_width;
    const auto [row_parts, column_parts] = grid_of(whole, at::get_num_threads());
    const auto part = [&, row_parts = row_parts, column_parts = column_parts](std::int64_t index) {
        const std::int64_t row = index % row_parts, column = index / row_parts;
        const std::vector<MatrixProduct> mine = joined.part(
            {whole.rows * row / row_parts, whole.rows * (row + 1) / row_parts},
            {panels * column / column_parts * panel_width,
             std::min(panels * (column + 1) / column_parts * panel_width, whole.columns)});
        if (by_tiles)
            multiply_by_tiles(mine);
        else
            std::for_each(mine.begin(), mine.end(), multiply_by_panels);
    };
    at::parallel_for(0, row_parts * column_parts, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t index = begin; index < end; ++index)
            part(index);
    });
}

}  // namespace popalign::lm::kernel
