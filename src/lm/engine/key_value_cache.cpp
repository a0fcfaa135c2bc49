#include "lm/engine/key_value_cache.hpp"

#include "lm/kernels/row_kernels.hpp"
#include "lm/transformer/elementwise.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>
#include <limits>

namespace popalign::lm {

KeyValueCache::KeyValueCache(const CausalLm& model, std::int64_t slots, std::int64_t extent) {
    const ModelConfig& config = model.config();
    const auto options = at::TensorOptions().dtype(model.dtype()).device(model.device());
    for (std::int64_t layer = 0; layer < config.num_hidden_layers; ++layer)
        for (auto* list : {&keys_, &values_})
            list->push_back(
                at::empty({slots, config.num_key_value_heads, extent, config.head_dim}, options));
    // Row kernels read only what was written, and pages never touched cost nothing. Elsewhere
    // masked positions are multiplied by zero, and 0 * NaN is NaN.
    if (!fits_row_kernels(keys_.front()))
        for (auto* list : {&keys_, &values_})
            for (at::Tensor& layer : *list)
                layer.zero_();
}

void KeyValueCache::copy_slot(std::int64_t from, std::int64_t to) {
    for (auto* list : {&keys_, &values_})
        for (at::Tensor& layer : *list)
            layer.select(0, to).copy_(layer.select(0, from));
}

at::Tensor PrefillAttention::attend(AttentionLayer layer, const at::Tensor& query,
                                    const at::Tensor& key, const at::Tensor& value) {
    for (std::size_t i = 0; i < packed_.paths.size(); ++i) {
        const auto slot = first_slot_ + static_cast<std::int64_t>(i);
        const auto store = [&](const at::Tensor& cached, const at::Tensor& rows) {
            const at::Tensor whole = forest_attention_.visible(packed_.paths[i].back(), rows);
            cached.select(0, slot).narrow(1, 0, whole.size(0)).copy_(whole.transpose(0, 1));
        };
        store(cache_.keys(layer.index), key);
        store(cache_.values(layer.index), value);
    }
    return forest_attention_.attend(layer, query, key, value);
}

at::Tensor ChunkAttention::positions() const {
    return at::arange(begin_, begin_ + rows_);
}

const at::Tensor& ChunkAttention::mask(std::int64_t window, const at::Tensor& like) {
    at::Tensor& mask = masks_[window];
    if (!mask.defined()) {
        const at::Tensor hidden = at::full(
            {rows_, begin_ + rows_}, -std::numeric_limits<double>::infinity(), like.options());
        mask = hidden.triu(begin_ + 1);
        if (window > 0)
            mask.add_(hidden.tril(begin_ - window));
    }
    return mask;
}

at::Tensor ChunkAttention::attend(AttentionLayer layer, const at::Tensor& query,
                                  const at::Tensor& key, const at::Tensor& value) {
    // [kv_heads, begin + rows, dim]
    const auto store = [&](const at::Tensor& cached, const at::Tensor& rows) {
        const at::Tensor slot = cached.select(0, slot_).narrow(1, 0, begin_ + rows_);
        slot.narrow(1, begin_, rows_).copy_(rows.transpose(0, 1));
        return slot.unsqueeze(0);
    };
    const at::Tensor keys = store(cache_.keys(layer.index), key);
    const at::Tensor values = store(cache_.values(layer.index), value);
    return at::scaled_dot_product_attention(query.transpose(0, 1).unsqueeze(0), keys, values,
                                            mask(layer.window, query), 0.0, /*is_causal=*/false,
                                            std::nullopt,
                                            /*enable_gqa=*/query.size(1) != key.size(1))
        .squeeze(0)
        .transpose(0, 1)
        .reshape({rows_, -1});
}

DecodeAttention::DecodeAttention(KeyValueCache& cache, const std::vector<std::int64_t>& lengths,
                                 std::int64_t extent)
    : cache_(cache), extent_(extent) {
    const at::Tensor& keys = cache.keys(0);
    const std::int64_t slots = static_cast<std::int64_t>(lengths.size()), heads = keys.size(1);
    lengths_ = at::tensor(at::ArrayRef<std::int64_t>(lengths));
    const at::Tensor first_rows = at::arange(slots * heads) * keys.size(2);
    rows_ = (first_rows + lengths_.repeat_interleave(heads)).to(keys.device());
}

const at::Tensor& DecodeAttention::mask(std::int64_t window) {
    at::Tensor& mask = masks_[window];
    if (!mask.defined()) {
        const at::Tensor& keys = cache_.keys(0);
        const at::Tensor at = at::arange(extent_).unsqueeze(0), now = lengths_.unsqueeze(1);
        const at::Tensor hidden = window > 0 ? (at > now).logical_or(at <= now - window) : at > now;
        mask = at::zeros(hidden.sizes(), keys.options().device(at::kCPU))
                   .masked_fill(hidden, -std::numeric_limits<double>::infinity())
                   .repeat_interleave(keys.size(1), 0)
                   .unsqueeze(1)
                   .to(keys.device());
    }
    return mask;
}

at::Tensor DecodeAttention::attend(AttentionLayer layer, const at::Tensor& query,
                                   const at::Tensor& key, const at::Tensor& value) {
    if (fits_row_kernels(query) && fits_row_kernels(key) && fits_row_kernels(value))
        return attend_by_rows(layer, query, key, value);
    const std::int64_t slots = query.size(0), heads = key.size(1), dim = key.size(2);
    const auto store = [&](const at::Tensor& cached, const at::Tensor& rows) {
        cached.view({-1, dim}).index_copy_(0, rows_, rows.reshape({slots * heads, dim}));
        return cached.view({-1, cached.size(2), dim})
            .narrow(0, 0, slots * heads)
            .narrow(1, 0, extent_);
    };
    const at::Tensor keys = store(cache_.keys(layer.index), key);
    const at::Tensor values = store(cache_.values(layer.index), value);
    // Query heads of one key head stand together: [slots * kv_heads, group, dim].
    const at::Tensor grouped = query.reshape({slots * heads, query.size(1) / heads, dim});
    at::Tensor scores = at::bmm(grouped, keys.transpose(1, 2));
    scores = scores.mul_(1.0 / std::sqrt(static_cast<double>(dim))).add_(mask(layer.window));
    return at::bmm(scores.softmax(-1, at::kFloat).to(values.scalar_type()), values)
        .view({slots, -1});
}

at::Tensor DecodeAttention::attend_by_rows(AttentionLayer layer, const at::Tensor& query,
                                           const at::Tensor& key, const at::Tensor& value) {
    const at::Tensor &keys = cache_.keys(layer.index), &values = cache_.values(layer.index);
    const std::int64_t slots = query.size(0), kv_heads = key.size(1), dim = key.size(2);
    const std::int64_t group = query.size(1) / kv_heads, room = keys.size(2);
    const at::Tensor output = at::empty({slots, query.size(1) * dim}, query.options());
    const auto row = [](const at::Tensor& rows, std::int64_t slot, std::int64_t head) {
        return rows.data_ptr<float>() + slot * rows.stride(0) + head * rows.stride(1);
    };
    at::parallel_for(0, slots * kv_heads, 1, [&](std::int64_t begin, std::int64_t end) {
        std::vector<float> scores(static_cast<std::size_t>(extent_));
        for (std::int64_t i = begin; i < end; ++i) {
            const std::int64_t slot = i / kv_heads, head = i % kv_heads;
            const std::int64_t length = lengths_.data_ptr<std::int64_t>()[slot];
            const std::int64_t hidden =
                layer.window > 0 ? std::max<std::int64_t>(0, length + 1 - layer.window) : 0;
            float* cached_keys = keys.data_ptr<float>() + i * room * dim;
            float* cached_values = values.data_ptr<float>() + i * room * dim;
            std::copy_n(row(key, slot, head), dim, cached_keys + length * dim);
            std::copy_n(row(value, slot, head), dim, cached_values + length * dim);
            kernel::attend({.query = row(query, slot, head * group),
                            .keys = cached_keys + hidden * dim,
                            .values = cached_values + hidden * dim,
                            .group = static_cast<std::size_t>(group),
                            .dim = static_cast<std::size_t>(dim),
                            .length = static_cast<std::size_t>(length + 1 - hidden),
                            .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(dim))),
                            .scores = scores.data(),
                            .output = output.data_ptr<float>() + i * group * dim});
        }
    });
    return output;
}

}  // namespace popalign::lm
