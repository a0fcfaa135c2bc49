#pragma once

#include "lm/transformer/weight_memory.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace popalign::lm {

/// A matrix [rows, columns] that is only multiplied with: in panels for this processor's kernels
/// where it is float32 on a CPU, plain elsewhere. It lies in memory that ranks may share.
class PanelMatrix {
  public:
    PanelMatrix(WeightMemory& memory, std::int64_t rows, std::int64_t columns,
                at::TensorOptions options);

    static std::size_t bytes(std::int64_t rows, std::int64_t columns, at::TensorOptions options);

    /// Puts `part` [count, columns] in place of the rows from `first` on.
    void fill(const at::Tensor& part, std::int64_t first);

    /// `x` [count, columns] times the transpose, plus `bias` [rows] if there is one: [count, rows].
    /// On panels, a row of the result depends on its row of `x` alone, bit for bit.
    at::Tensor apply(const at::Tensor& x, const at::Tensor& bias = {}) const;
    /// The rows `indices` [count] int64 as they were filled in: [count, columns].
    at::Tensor gather(const at::Tensor& indices) const;

  private:
    at::Tensor multiply(const at::Tensor& x) const;

    std::int64_t rows_, columns_;
    bool panels_;
    at::Tensor data_;  ///< [panels, columns, panel width], or [rows, columns]
};

}  // namespace popalign::lm
