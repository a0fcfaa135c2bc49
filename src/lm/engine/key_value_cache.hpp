#pragma once

#include "lm/transformer/prefix_forest.hpp"

#include <popalign/lm/transformer/attention.hpp>
#include <popalign/lm/transformer/causal_lm.hpp>

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <vector>

namespace popalign::lm {

/// Keys and values of sequences being decoded: `slots` rows of `extent` tokens in every layer.
class KeyValueCache {
  public:
    KeyValueCache(const CausalLm& model, std::int64_t slots, std::int64_t extent);

    /// [slots, kv_heads, extent, head_dim]
    const at::Tensor& keys(std::int64_t layer) const { return keys_[index(layer)]; }
    const at::Tensor& values(std::int64_t layer) const { return values_[index(layer)]; }
    /// Copies slot `from` to slot `to`.
    void copy_slot(std::int64_t from, std::int64_t to);

  private:
    static std::size_t index(std::int64_t layer) { return static_cast<std::size_t>(layer); }
    std::vector<at::Tensor> keys_, values_;
};

/// Attention of whole prompts, which stores their keys and values in the cache.
class PrefillAttention final : public Attention {
  public:
    /// Sequence i of `packed` goes to slot `first_slot + i`.
    PrefillAttention(const PrefixForest& packed, KeyValueCache& cache, std::int64_t first_slot)
        : packed_(packed),
          forest_attention_(packed.forest),
          cache_(cache),
          first_slot_(first_slot) {}

    at::Tensor positions() const override { return forest_attention_.positions(); }
    at::Tensor attend(AttentionLayer layer, const at::Tensor& query, const at::Tensor& key,
                      const at::Tensor& value) override;

  private:
    const PrefixForest& packed_;
    ForestAttention forest_attention_;
    KeyValueCache& cache_;
    std::int64_t first_slot_;
};

/// Attention of `rows` tokens of one sequence whose first `begin` tokens are in the slot.
class ChunkAttention final : public Attention {
  public:
    ChunkAttention(KeyValueCache& cache, std::int64_t slot, std::int64_t begin, std::int64_t rows)
        : cache_(cache), slot_(slot), begin_(begin), rows_(rows) {}

    at::Tensor positions() const override;
    at::Tensor attend(AttentionLayer layer, const at::Tensor& query, const at::Tensor& key,
                      const at::Tensor& value) override;

  private:
    const at::Tensor& mask(std::int64_t window, const at::Tensor& like);

    KeyValueCache& cache_;
    std::int64_t slot_, begin_, rows_;
    std::map<std::int64_t, at::Tensor> masks_;  // by window, [rows, begin + rows]
};

/// One new token for each of the first `lengths.size()` slots, which hold `lengths[i]` tokens;
/// attends over the first `extent` positions of the cache.
class DecodeAttention final : public Attention {
  public:
    DecodeAttention(KeyValueCache& cache, const std::vector<std::int64_t>& lengths,
                    std::int64_t extent);

    at::Tensor positions() const override { return lengths_; }
    at::Tensor attend(AttentionLayer layer, const at::Tensor& query, const at::Tensor& key,
                      const at::Tensor& value) override;

  private:
    /// Reads only what each slot holds.
    at::Tensor attend_by_rows(AttentionLayer layer, const at::Tensor& query, const at::Tensor& key,
                              const at::Tensor& value);

    const at::Tensor& mask(std::int64_t window);

    KeyValueCache& cache_;
    at::Tensor lengths_;  // [slots]
    at::Tensor rows_;     // [slots * kv_heads] of the cache as [slots * kv_heads * extent, dim]
    std::map<std::int64_t, at::Tensor> masks_;  // by window, [slots * kv_heads, 1, extent]
    std::int64_t extent_;
};

}  // namespace popalign::lm
