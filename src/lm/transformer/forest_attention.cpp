#include "lm/transformer/device_attention.hpp"
#include "lm/transformer/training_kernels.hpp"

#include <popalign/lm/transformer/attention.hpp>

#include <ATen/ATen.h>

#include <limits>

namespace popalign::lm {

at::Tensor ForestAttention::positions() const {
    at::Tensor positions = at::empty({static_cast<std::int64_t>(forest_.tokens.size())}, at::kLong);
    auto* values = positions.data_ptr<std::int64_t>();
    for (const auto& segment : forest_.segments)
        for (std::int64_t row = segment.begin; row < segment.end; ++row)
            values[row] = segment.position + row - segment.begin;
    return positions;
}

at::Tensor ForestAttention::visible(std::size_t index, const at::Tensor& rows) const {
    std::vector<at::Tensor> parts;
    for (std::optional<std::size_t> at = index; at; at = forest_.segments[*at].parent) {
        const auto& segment = forest_.segments[*at];
        parts.insert(parts.begin(), rows.slice(0, segment.begin, segment.end));
    }
    return parts.size() == 1 ? parts.front() : at::cat(parts);
}

at::Tensor ForestAttention::mask(std::size_t index, std::int64_t window, const at::Tensor& like) {
    at::Tensor& mask = masks_[{index, window}];
    if (!mask.defined()) {
        const auto& segment = forest_.segments[index];
        const std::int64_t rows = segment.end - segment.begin;
        const at::Tensor hidden =
            at::full({rows, segment.position + rows}, -std::numeric_limits<double>::infinity(),
                     like.options().requires_grad(false));
        mask = hidden.triu(segment.position + 1);
        if (window > 0)
            mask = mask + hidden.tril(segment.position - window);
    }
    return mask;
}

at::Tensor ForestAttention::attend(AttentionLayer layer, const at::Tensor& query,
                                   const at::Tensor& key, const at::Tensor& value) {
    if (training::uses_own_kernels(query))
        return training::attend(forest_, layer.window, query, key, value);
    if (DeviceAttention::fits(query)) {
        if (!on_device_)
            on_device_ = std::make_shared<const DeviceAttention>(forest_, query.device());
        return on_device_->attend(layer.window, query, key, value);
    }
    std::vector<at::Tensor> outputs;
    outputs.reserve(forest_.segments.size());
    for (std::size_t i = 0; i < forest_.segments.size(); ++i) {
        const auto& segment = forest_.segments[i];
        const std::int64_t length = segment.position + segment.end - segment.begin;
        const std::int64_t window = length > layer.window ? layer.window : 0;
        const bool causal = !segment.parent && window == 0;
        // [rows, heads, dim] -> [1, heads, rows, dim]
        const auto to_heads = [](const at::Tensor& rows) {
            return rows.transpose(0, 1).unsqueeze(0);
        };
        const at::Tensor output = at::scaled_dot_product_attention(
            to_heads(query.slice(0, segment.begin, segment.end)), to_heads(visible(i, key)),
            to_heads(visible(i, value)),
            causal ? std::nullopt : std::optional(mask(i, window, query)), 0.0,
            /*is_causal=*/causal, std::nullopt,
            /*enable_gqa=*/query.size(1) != key.size(1));
        outputs.push_back(
            output.squeeze(0).transpose(0, 1).reshape({segment.end - segment.begin, -1}));
    }
    return at::cat(outputs);
}

}  // namespace popalign::lm
