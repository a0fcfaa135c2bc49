#include "lm/fused.hpp"
#include "lm/packed_linear.hpp"

#include <popalign/base/error.hpp>
#include <popalign/lm/causal_lm.hpp>

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace popalign {
namespace {

struct Rotary {
    Arithmetic arithmetic;
    at::Tensor cosine, sine;  // [rows, 1, head_dim / 2]

    Rotary(Arithmetic chosen, const at::Tensor& positions, const ModelConfig& config,
           const at::Tensor& like)
        : arithmetic(chosen) {
        const auto precise = like.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
        const at::Tensor steps =
            at::arange(0, config.head_dim, 2, at::TensorOptions().dtype(precise));
        const at::Tensor frequencies =
            at::pow(config.rope_theta, steps / static_cast<double>(config.head_dim)).reciprocal();
        const at::Tensor angles = at::outer(positions.to(precise), frequencies).unsqueeze(1);
        cosine = angles.cos().to(like.options());
        sine = angles.sin().to(like.options());
    }

    at::Tensor rotate(const at::Tensor& x) const {
        return popalign::rotate(arithmetic, x, cosine, sine);
    }
};

}  // namespace

std::int64_t ModelConfig::parameter_count() const noexcept {
    const std::int64_t query = num_attention_heads * head_dim, kv = num_key_value_heads * head_dim;
    const std::int64_t layer = 2 * hidden_size * (query + kv) +
                               3 * hidden_size * intermediate_size + 2 * hidden_size +
                               (attention_bias ? query + 2 * kv : 0);
    return num_hidden_layers * layer + hidden_size +
           vocab_size * hidden_size * (tie_word_embeddings ? 1 : 2);
}

std::size_t SegmentForest::add(std::span<const TokenId> segment_tokens,
                               std::optional<std::size_t> parent) {
    Segment segment;
    segment.begin = static_cast<std::int64_t>(tokens.size());
    segment.end = segment.begin + static_cast<std::int64_t>(segment_tokens.size());
    segment.parent = parent;
    if (parent) {
        const Segment& above = segments.at(*parent);
        segment.position = above.position + above.end - above.begin;
    }
    tokens.insert(tokens.end(), segment_tokens.begin(), segment_tokens.end());
    segments.push_back(segment);
    return segments.size() - 1;
}

CausalLm::CausalLm(const ModelConfig& config, at::ScalarType dtype, at::Device device)
    : config_(config), arithmetic_(Arithmetic::libtorch) {
    const auto options = at::TensorOptions().dtype(dtype).device(device);
    const auto add = [&](const std::string& name, at::IntArrayRef shape) {
        return parameters_.emplace_back(NamedParameter{name, at::zeros(shape, options)}).tensor;
    };
    const std::int64_t hidden = config.hidden_size, inner = config.intermediate_size;
    const std::int64_t query = config.num_attention_heads * config.head_dim;
    const std::int64_t kv = config.num_key_value_heads * config.head_dim;

    embedding_ = add("model.embed_tokens.weight", {config.vocab_size, hidden});
    for (std::int64_t i = 0; i < config.num_hidden_layers; ++i) {
        const std::string name = "model.layers." + std::to_string(i) + ".";
        const std::string attention = name + "self_attn.", mlp = name + "mlp.";
        Layer layer;
        layer.q = add(attention + "q_proj.weight", {query, hidden});
        layer.k = add(attention + "k_proj.weight", {kv, hidden});
        layer.v = add(attention + "v_proj.weight", {kv, hidden});
        if (config.attention_bias) {
            layer.q_bias = add(attention + "q_proj.bias", {query});
            layer.k_bias = add(attention + "k_proj.bias", {kv});
            layer.v_bias = add(attention + "v_proj.bias", {kv});
        }
        layer.o = add(attention + "o_proj.weight", {hidden, query});
        layer.gate = add(mlp + "gate_proj.weight", {inner, hidden});
        layer.up = add(mlp + "up_proj.weight", {inner, hidden});
        layer.down = add(mlp + "down_proj.weight", {hidden, inner});
        layer.input_norm = add(name + "input_layernorm.weight", {hidden});
        layer.post_norm = add(name + "post_attention_layernorm.weight", {hidden});
        layers_.push_back(std::move(layer));
    }
    final_norm_ = add("model.norm.weight", {hidden});
    head_ = config.tie_word_embeddings ? embedding_
                                       : add("lm_head.weight", {config.vocab_size, hidden});
}

at::Tensor& CausalLm::parameter(const std::string& name) {
    for (auto& parameter : parameters_)
        if (parameter.name == name)
            return parameter.tensor;
    throw Error("the model has no parameter '" + name + "'");
}

at::Device CausalLm::device() const {
    return embedding_.device();
}
at::ScalarType CausalLm::dtype() const {
    return embedding_.scalar_type();
}

void CausalLm::pack() {
    parameters_.clear();  // so that each plain weight goes as soon as its packed one is there
    for (Layer& layer : layers_) {
        layer.qkv = pack_weight(at::cat({layer.q, layer.k, layer.v}));
        if (layer.q_bias.defined())
            layer.qkv_bias = at::cat({layer.q_bias, layer.k_bias, layer.v_bias});
        layer.gate_up = pack_weight(at::cat({layer.gate, layer.up}));
        for (at::Tensor* part : {&layer.q, &layer.k, &layer.v, &layer.q_bias, &layer.k_bias,
                                 &layer.v_bias, &layer.gate, &layer.up})
            *part = at::Tensor();
        layer.o = pack_weight(layer.o);
        layer.down = pack_weight(layer.down);
    }
    head_ = pack_weight(head_);
    if (fits_row_kernels(embedding_))
        arithmetic_ = Arithmetic::row_kernels;
}

CausalLm::Heads CausalLm::project(const Layer& layer, const at::Tensor& x) const {
    const auto heads = [&](const at::Tensor& projected) {
        return projected.view({x.size(0), -1, config_.head_dim});
    };
    if (!layer.qkv.defined())
        return {heads(apply_linear(x, layer.q, layer.q_bias)),
                heads(apply_linear(x, layer.k, layer.k_bias)),
                heads(apply_linear(x, layer.v, layer.v_bias))};
    const auto parts =
        heads(apply_linear(x, layer.qkv, layer.qkv_bias))
            .split_with_sizes({config_.num_attention_heads, config_.num_key_value_heads,
                               config_.num_key_value_heads},
                              1);
    return {parts[0], parts[1], parts[2]};
}

at::Tensor CausalLm::feed_forward(const Layer& layer, const at::Tensor& x) const {
    if (!layer.gate_up.defined())
        return apply_linear(
            silu_multiply(arithmetic_, apply_linear(x, layer.gate), apply_linear(x, layer.up)),
            layer.down);
    const auto parts = apply_linear(x, layer.gate_up).chunk(2, 1);
    return apply_linear(silu_multiply(arithmetic_, parts[0], parts[1]), layer.down);
}

at::Tensor CausalLm::hidden_states(const at::Tensor& tokens, Attention& attention) const {
    const auto norm = [&](const at::Tensor& x, const at::Tensor& weight) {
        return rms_norm(arithmetic_, x, weight, config_.rms_norm_eps);
    };
    at::Tensor x = at::embedding(embedding_, tokens.to(device()));
    const Rotary rotary(arithmetic_, attention.positions(), config_, x);
    for (std::size_t i = 0; i < layers_.size(); ++i) {
        const Layer& layer = layers_[i];
        const Heads heads = project(layer, norm(x, layer.input_norm));
        const at::Tensor attended =
            attention.attend(static_cast<std::int64_t>(i), rotary.rotate(heads.query),
                             rotary.rotate(heads.key), heads.value);
        x = x + apply_linear(attended, layer.o);
        x = x + feed_forward(layer, norm(x, layer.post_norm));
    }
    return norm(x, final_norm_);
}

at::Tensor CausalLm::logits(const at::Tensor& hidden) const {
    return apply_linear(hidden, head_);
}

at::Tensor target_log_probabilities(const CausalLm& model, const at::Tensor& hidden,
                                    const at::Tensor& targets) {
    constexpr std::int64_t chunk = 256;
    const at::Tensor columns = targets.to(hidden.device()).unsqueeze(1);
    std::vector<at::Tensor> parts;
    for (std::int64_t at = 0; at < hidden.size(0); at += chunk) {
        const std::int64_t rows = std::min(chunk, hidden.size(0) - at);
        at::Tensor logits = model.logits(hidden.narrow(0, at, rows));
        if (logits.scalar_type() != at::kDouble)
            logits = logits.to(at::kFloat);
        parts.push_back(logits.gather(1, columns.narrow(0, at, rows)).squeeze(1) -
                        logits.logsumexp(1));
    }
    return parts.empty() ? at::zeros({0}, hidden.options().dtype(at::kFloat)) : at::cat(parts);
}

}  // namespace popalign
