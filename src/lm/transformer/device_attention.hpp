#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace popalign::lm {

struct SegmentForest;

/// The segments of a forest as sequences for kernels that take sequences of any length: queries are
/// a segment's own rows, keys all that its last row sees, and the last query sees the last key.
struct ForestLayout {
    std::vector<std::int64_t> visible;  ///< rows of the keys, one sequence after the other
    std::vector<std::int32_t> query_starts, key_starts;  ///< [segments + 1]
    std::int64_t most_queries = 0, most_keys = 0;        ///< of a sequence
};
ForestLayout lay_out(const SegmentForest& forest);

/// Attention over a forest on a GPU, all segments in one kernel. Gradients are not the same bits
/// each time: rows that several segments see add theirs in any order.
class DeviceAttention {
  public:
    /// Whether the kernels can compute with `query`: on a GPU, bfloat16 (Ampere or newer) with at
    /// most 256 numbers a head, or float32.
    static bool fits(const at::Tensor& query);

    DeviceAttention(const SegmentForest& forest, at::Device device);

    /// Shapes and `window` as in Attention::attend.
    at::Tensor attend(std::int64_t window, const at::Tensor& query, const at::Tensor& key,
                      const at::Tensor& value) const;

  private:
    at::Tensor visible_, query_starts_, key_starts_;  ///< as in ForestLayout, on the device
    std::int64_t most_queries_, most_keys_;
};

}  // namespace popalign::lm
