#include "lm/transformer/device_attention.hpp"

#include <popalign/lm/transformer/segment_forest.hpp>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

namespace popalign::lm {
namespace {

/// Value by which the memory-efficient kernel names a causal mask whose last row sees all keys.
constexpr std::int64_t causal_from_bottom_right = 2;

}  // namespace

ForestLayout lay_out(const SegmentForest& forest) {
    ForestLayout layout{{}, {0}, {0}};
    for (std::size_t index = 0; index < forest.segments.size(); ++index) {
        std::vector<SegmentForest::Segment> path;
        for (std::optional<std::size_t> at = index; at; at = forest.segments[*at].parent)
            path.push_back(forest.segments[*at]);
        for (auto part = path.rbegin(); part != path.rend(); ++part)
            for (std::int64_t row = part->begin; row < part->end; ++row)
                layout.visible.push_back(row);
        const std::int64_t queries = path.front().end - path.front().begin;
        layout.most_queries = std::max(layout.most_queries, queries);
        layout.most_keys = std::max(layout.most_keys, path.front().position + queries);
        layout.query_starts.push_back(static_cast<std::int32_t>(path.front().end));
        layout.key_starts.push_back(static_cast<std::int32_t>(layout.visible.size()));
    }
    return layout;
}

bool DeviceAttention::fits(const at::Tensor& query) {
    if (!query.is_cuda())
        return false;
    const std::int64_t dim = query.size(2);
    return query.scalar_type() == at::kFloat
               ? dim % 4 == 0
               : query.scalar_type() == at::kBFloat16 && dim % 8 == 0 && dim <= 256;
}

DeviceAttention::DeviceAttention(const SegmentForest& forest, at::Device device) {
    const ForestLayout layout = lay_out(forest);
    visible_ = at::tensor(layout.visible).to(device);
    query_starts_ = at::tensor(layout.query_starts).to(device);
    key_starts_ = at::tensor(layout.key_starts).to(device);
    most_queries_ = layout.most_queries;
    most_keys_ = layout.most_keys;
}

at::Tensor DeviceAttention::attend(std::int64_t window, const at::Tensor& query,
                                   const at::Tensor& key, const at::Tensor& value) const {
    const at::Tensor keys = key.index_select(0, visible_), values = value.index_select(0, visible_);
    at::Tensor output;
    if (query.scalar_type() == at::kBFloat16) {
        const auto to_left = window > 0 ? std::optional(window - 1) : std::nullopt;
        output = std::get<0>(at::_flash_attention_forward(
            query, keys, values, query_starts_, key_starts_, most_queries_, most_keys_,
            /*dropout_p=*/0.0, /*is_causal=*/true, /*return_debug_mask=*/false,
            /*scale=*/std::nullopt, to_left,
            to_left ? std::optional<std::int64_t>(0) : std::nullopt));
    } else {
        // This kernel wants as many heads of keys as of queries.
        const auto all_heads = [&](const at::Tensor& rows) {
            return rows.repeat_interleave(query.size(1) / rows.size(1), 1).unsqueeze(0);
        };
        output = std::get<0>(at::_efficient_attention_forward(
            query.unsqueeze(0), all_heads(keys), all_heads(values), /*bias=*/std::nullopt,
            query_starts_, key_starts_, most_queries_, most_keys_, /*dropout_p=*/0.0,
            causal_from_bottom_right, /*compute_log_sumexp=*/c10::GradMode::is_enabled(),
            /*scale=*/std::nullopt, /*seqlen_k=*/std::nullopt,
            window > 0 ? std::optional(window) : std::nullopt));
    }
    return output.reshape({query.size(0), -1});
}

}  // namespace popalign::lm
