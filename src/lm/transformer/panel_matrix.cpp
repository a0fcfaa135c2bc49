#include "lm/transformer/panel_matrix.hpp"

#include "lm/kernels/panel_kernel.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

namespace popalign::lm {
namespace {

using kernel::panel_width;

/// Rows of `x` that stay in the second-level cache while the panels pass by, and columns of a panel
/// that stay there while the rows pass by.
constexpr std::int64_t row_block = 192, column_block = 576;

std::int64_t panels_of(std::int64_t rows) {
    return (rows + panel_width - 1) / panel_width;
}

bool uses_panels(const at::TensorOptions& options) {
    return options.device().is_cpu() && options.dtype() == at::kFloat;
}

}  // namespace

PanelMatrix::PanelMatrix(WeightMemory& memory, std::int64_t rows, std::int64_t columns,
                         at::TensorOptions options)
    : rows_(rows),
      columns_(columns),
      panels_(uses_panels(options)),
      data_(panels_ ? memory.allocate({panels_of(rows), columns, panel_width}, options)
                    : memory.allocate({rows, columns}, options)) {}

std::size_t PanelMatrix::bytes(std::int64_t rows, std::int64_t columns, at::TensorOptions options) {
    const std::int64_t stored = uses_panels(options) ? panels_of(rows) * panel_width : rows;
    return WeightMemory::aligned(static_cast<std::size_t>(stored * columns) *
                                 options.dtype().itemsize());
}

void PanelMatrix::fill(const at::Tensor& part, std::int64_t first) {
    if (!panels_) {
        data_.narrow(0, first, part.size(0)).copy_(part);
        return;
    }
    const at::Tensor from = part.contiguous();
    const float* const source = from.data_ptr<float>();
    float* const target = data_.data_ptr<float>();
    const std::int64_t columns = columns_;
    at::parallel_for(0, from.size(0), panel_width, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) {
            const std::int64_t panel = (first + row) / panel_width;
            float* to = target + panel * columns * panel_width + (first + row) % panel_width;
            for (std::int64_t column = 0; column < columns; ++column, to += panel_width)
                *to = source[row * columns + column];
        }
    });
}

at::Tensor PanelMatrix::apply(const at::Tensor& x, const at::Tensor& bias) const {
    if (!panels_)
        return at::linear(x, data_, bias);
    const at::Tensor product = multiply(x.contiguous());
    return bias.defined() ? product.add_(bias) : product;
}

at::Tensor PanelMatrix::multiply(const at::Tensor& x) const {
    static const kernel::MultiplyPanel multiply_panel = kernel::multiply_panels().front();
    const std::int64_t count = x.size(0), panels = panels_of(rows_);
    const std::int64_t stride = panels * panel_width;
    const at::Tensor output = at::empty({count, stride}, x.options());
    const float *const from = x.data_ptr<float>(), *const weights = data_.data_ptr<float>();
    float* const to = output.data_ptr<float>();
    const auto on_panels = [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t row = 0; row < count; row += row_block)
            for (std::int64_t column = 0; column < columns_; column += column_block)
                for (std::int64_t panel = first; panel < last; ++panel)
                    multiply_panel(
                        {from + row * columns_ + column, columns_, std::min(row_block, count - row),
                         std::min(column_block, columns_ - column),
                         weights + (panel * columns_ + column) * panel_width,
                         to + row * stride + panel * panel_width, stride,
                         column == 0 ? kernel::PanelOutput::replace : kernel::PanelOutput::add});
    };
    at::parallel_for(0, panels, 1, on_panels);
    return output.narrow(1, 0, rows_);
}

at::Tensor PanelMatrix::gather(const at::Tensor& indices) const {
    if (!panels_)
        return at::embedding(data_, indices);
    const std::int64_t count = indices.size(0);
    const at::Tensor output = at::empty({count, columns_}, data_.options());
    const at::Tensor wanted = indices.contiguous();
    const auto* const row = wanted.data_ptr<std::int64_t>();
    const float* const weights = data_.data_ptr<float>();
    float* const to = output.data_ptr<float>();
    at::parallel_for(0, count, 8, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
            TORCH_CHECK_INDEX(row[i] >= 0 && row[i] < rows_, "no row ", row[i]);
            const float* source =
                weights + row[i] / panel_width * columns_ * panel_width + row[i] % panel_width;
            for (std::int64_t column = 0; column < columns_; ++column)
                to[i * columns_ + column] = source[column * panel_width];
        }
    });
    return output;
}

}  // namespace popalign::lm
