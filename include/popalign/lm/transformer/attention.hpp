#pragma once

#include <popalign/lm/transformer/segment_forest.hpp>

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

namespace popalign::lm {

/// Layer whose attention is computed.
struct AttentionLayer {
    std::int64_t index = 0;
    std::int64_t window = 0;  ///< tokens that a token sees, itself included; 0: all
};

/// Attention between the rows of a forward pass; the only part in which training, scoring and
/// decoding differ.
class Attention {
  public:
    virtual ~Attention() = default;
    /// Positions of the rows in their sequences, [rows] int64 on the CPU.
    virtual at::Tensor positions() const = 0;
    /// `query` [rows, heads, head_dim], `key` and `value` [rows, kv_heads, head_dim], rotated
    /// already; returns [rows, heads * head_dim].
    virtual at::Tensor attend(AttentionLayer layer, const at::Tensor& query, const at::Tensor& key,
                              const at::Tensor& value) = 0;
};

class DeviceAttention;

/// Attention over a forest, without a cache.
class ForestAttention final : public Attention {
  public:
    explicit ForestAttention(const SegmentForest& forest) : forest_(forest) {}
    at::Tensor positions() const override;
    at::Tensor attend(AttentionLayer layer, const at::Tensor& query, const at::Tensor& key,
                      const at::Tensor& value) override;

    /// Returns the rows visible to segment `index`, its own rows last: [tokens, kv_heads,
    /// head_dim].
    at::Tensor visible(std::size_t index, const at::Tensor& rows) const;

  private:
    at::Tensor mask(std::size_t index, std::int64_t window, const at::Tensor& like);

    const SegmentForest& forest_;
    std::map<std::pair<std::size_t, std::int64_t>, at::Tensor> masks_;  ///< by segment and window
    std::shared_ptr<const DeviceAttention> on_device_;                  ///< made when first used
};

}  // namespace popalign::lm
