#include "lm/transformer/differentiable.hpp"
#include "lm/transformer/fused.hpp"
#include "lm/transformer/inference_weight.hpp"
#include "lm/transformer/rotary.hpp"
#include "lm/transformer/training_kernels.hpp"

#include <popalign/base/error.hpp>
#include <popalign/lm/transformer/attention.hpp>
#include <popalign/lm/transformer/causal_lm.hpp>
#include <popalign/lm/transformer/segment_forest.hpp>
#include <popalign/record/token.hpp>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

namespace popalign::lm {
std::int64_t ModelConfig::parameter_count() const noexcept {
    const std::int64_t query = num_attention_heads * head_dim, kv = num_key_value_heads * head_dim;
    const std::int64_t layer =
        2 * hidden_size * (query + kv) + 3 * hidden_size * intermediate_size +
        (output_norms ? 4 : 2) * hidden_size + (query_key_norm ? 2 * head_dim : 0) +
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
    : config_(config),
      vocabulary_(parallel_.vocabulary(config)),
      dtype_(dtype),
      device_(device),
      arithmetic_(Arithmetic::libtorch) {
    const auto options = at::TensorOptions().dtype(dtype).device(device);
    build(
        [&](const std::string& name, at::IntArrayRef shape) {
            return parameters_.emplace_back(NamedParameter{name, at::zeros(shape, options)}).tensor;
        },
        [](Layer&) {});
}

CausalLm::CausalLm(const ModelConfig& config, at::ScalarType dtype, at::Device device,
                   WeightMemory& memory, const WeightReader& read, const TensorParallel& parallel)
    : config_(parallel.slice(config)),
      parallel_(parallel),
      vocabulary_(parallel.vocabulary(config)),
      dtype_(dtype),
      device_(device),
      arithmetic_(Arithmetic::libtorch) {
    const auto options = at::TensorOptions().dtype(dtype).device(device);
    std::size_t part = 0;  // the embedding, each layer, the head: what one rank fills
    const auto join = [&](std::initializer_list<const at::Tensor*> weights) {
        std::int64_t rows = 0;
        for (const at::Tensor* weight : weights)
            rows += weight->size(0);
        auto joined =
            std::make_shared<InferenceWeight>(memory, rows, (*weights.begin())->size(1), options);
        rows = 0;
        for (const at::Tensor* weight : weights) {
            if (memory.fills(part))
                joined->fill(*weight, rows);
            rows += weight->size(0);
        }
        return joined;
    };
    const auto make = [&](const std::string& name, at::IntArrayRef shape) {
        at::Tensor weight = at::empty(shape, options);
        if (shape.size() == 1 || memory.fills(part))
            read(name, weight);
        return weight;
    };
    const auto pack = [&](Layer& layer) {
        if (part == 0)
            packed_embedding_ = join({&embedding_});
        layer.qkv = join({&layer.q, &layer.k, &layer.v});
        layer.packed_o = join({&layer.o});
        layer.gate_up = join({&layer.gate, &layer.up});
        layer.packed_down = join({&layer.down});
        if (layer.q_bias.defined())
            layer.qkv_bias = at::cat({layer.q_bias, layer.k_bias, layer.v_bias});
        for (at::Tensor* gone :
             {&layer.q, &layer.k, &layer.v, &layer.o, &layer.q_bias, &layer.k_bias, &layer.v_bias,
              &layer.gate, &layer.up, &layer.down, &embedding_})
            *gone = at::Tensor();
        ++part;
    };
    build(make, pack);
    packed_head_ = config.tie_word_embeddings ? packed_embedding_ : join({&head_});
    head_ = at::Tensor();
    if (device.is_cpu() && dtype == at::kFloat)
        arithmetic_ = Arithmetic::row_kernels;
}

std::size_t CausalLm::inference_bytes(const ModelConfig& whole, at::ScalarType dtype,
                                      at::Device device, const TensorParallel& parallel) {
    const ModelConfig config = parallel.slice(whole);
    const auto vocabulary = static_cast<std::int64_t>(parallel.vocabulary(whole).size());
    const auto options = at::TensorOptions().dtype(dtype).device(device);
    const auto bytes = [&](std::int64_t rows, std::int64_t columns) {
        return InferenceWeight::bytes(rows, columns, options);
    };
    const std::int64_t hidden = config.hidden_size, inner = config.intermediate_size;
    const std::int64_t query = config.num_attention_heads * config.head_dim;
    const std::int64_t kv = config.num_key_value_heads * config.head_dim;
    const std::size_t layer = bytes(query + 2 * kv, hidden) + bytes(hidden, query) +
                              bytes(2 * inner, hidden) + bytes(hidden, inner);
    return static_cast<std::size_t>(config.num_hidden_layers) * layer +
           bytes(vocabulary, hidden) * (config.tie_word_embeddings ? 1 : 2);
}

CausalLm CausalLm::packed() const {
    WeightMemory memory;
    return {config_, dtype_, device_, memory, [&](const std::string& name, at::Tensor& into) {
                for (const auto& parameter : parameters_)
                    if (parameter.name == name)
                        into.copy_(parameter.tensor);
            }};
}

void CausalLm::build(const std::function<at::Tensor(const std::string&, at::IntArrayRef)>& make,
                     const std::function<void(Layer&)>& finish) {
    const std::int64_t hidden = config_.hidden_size, inner = config_.intermediate_size;
    const std::int64_t query = config_.num_attention_heads * config_.head_dim;
    const std::int64_t kv = config_.num_key_value_heads * config_.head_dim;

    const auto vocabulary = static_cast<std::int64_t>(vocabulary_.size());
    embedding_ = make("model.embed_tokens.weight", {vocabulary, hidden});
    for (std::int64_t i = 0; i < config_.num_hidden_layers; ++i) {
        const std::string name = "model.layers." + std::to_string(i) + ".";
        const std::string attention = name + "self_attn.", mlp = name + "mlp.";
        Layer layer;
        layer.q = make(attention + "q_proj.weight", {query, hidden});
        layer.k = make(attention + "k_proj.weight", {kv, hidden});
        layer.v = make(attention + "v_proj.weight", {kv, hidden});
        if (config_.attention_bias) {
            layer.q_bias = make(attention + "q_proj.bias", {query});
            layer.k_bias = make(attention + "k_proj.bias", {kv});
            layer.v_bias = make(attention + "v_proj.bias", {kv});
        }
        if (config_.query_key_norm) {
            layer.q_norm = make(attention + "q_norm.weight", {config_.head_dim});
            layer.k_norm = make(attention + "k_norm.weight", {config_.head_dim});
        }
        layer.o = make(attention + "o_proj.weight", {hidden, query});
        layer.gate = make(mlp + "gate_proj.weight", {inner, hidden});
        layer.up = make(mlp + "up_proj.weight", {inner, hidden});
        layer.down = make(mlp + "down_proj.weight", {hidden, inner});
        layer.input_norm = make(name + "input_layernorm.weight", {hidden});
        // With norms behind attention and feed-forward, HF gives the older name to the former.
        (config_.output_norms ? layer.attention_output_norm : layer.mlp_norm) =
            make(name + "post_attention_layernorm.weight", {hidden});
        if (config_.output_norms) {
            layer.mlp_norm = make(name + "pre_feedforward_layernorm.weight", {hidden});
            layer.mlp_output_norm = make(name + "post_feedforward_layernorm.weight", {hidden});
        }
        finish(layer);
        layers_.push_back(std::move(layer));
    }
    final_norm_ = make("model.norm.weight", {hidden});
    head_ = config_.tie_word_embeddings ? embedding_ : make("lm_head.weight", {vocabulary, hidden});
}

at::Tensor& CausalLm::parameter(const std::string& name) {
    for (auto& parameter : parameters_)
        if (parameter.name == name)
            return parameter.tensor;
    throw Error("the model has no parameter '" + name + "'");
}

at::Tensor CausalLm::embed(const at::Tensor& tokens) const {
    if (!packed_embedding_)
        return training::embed(embedding_, tokens);
    if (parallel_.size() == 1)
        return packed_embedding_->gather(tokens);
    const auto first = static_cast<std::int64_t>(vocabulary_.begin);
    const auto end = static_cast<std::int64_t>(vocabulary_.end);
    const at::Tensor here = tokens.ge(first).logical_and(tokens.lt(end));
    const at::Tensor rows = packed_embedding_->gather((tokens - first) * here);
    return parallel_.sum(rows * here.unsqueeze(1));
}

at::Tensor CausalLm::normalise(const at::Tensor& x, const at::Tensor& weight) const {
    if (config_.norm_offset == 0)
        return rms_norm(arithmetic_, x, weight, config_.rms_norm_eps);
    const auto precise = x.scalar_type() == at::kBFloat16 ? at::kFloat : x.scalar_type();
    return rms_norm(arithmetic_, x.to(precise), weight.to(precise) + config_.norm_offset,
                    config_.rms_norm_eps)
        .to(x.scalar_type());
}

CausalLm::Heads CausalLm::project(const Layer& layer, const at::Tensor& x) const {
    const auto heads = [&](const at::Tensor& projected) {
        return projected.view({x.size(0), -1, config_.head_dim});
    };
    Heads result;
    if (layer.qkv) {
        const auto parts =
            heads(layer.qkv->apply(x, layer.qkv_bias))
                .split_with_sizes({config_.num_attention_heads, config_.num_key_value_heads,
                                   config_.num_key_value_heads},
                                  1);
        result = {parts[0], parts[1], parts[2]};
    } else {
        const auto parts = apply(layer, x, {"q_proj", "k_proj", "v_proj"});
        result = {heads(parts[0]), heads(parts[1]), heads(parts[2])};
    }
    if (config_.query_key_norm) {
        const auto each = [&](const at::Tensor& part, const at::Tensor& weight) {
            return heads(normalise(part.reshape({-1, config_.head_dim}), weight));
        };
        result.query = each(result.query, layer.q_norm);
        result.key = each(result.key, layer.k_norm);
    }
    if (config_.query_pre_attn_scalar > 0)  // attention itself divides by the root of head_dim
        result.query = result.query * std::sqrt(static_cast<double>(config_.head_dim) /
                                                config_.query_pre_attn_scalar);
    return result;
}

at::Tensor CausalLm::feed_forward(const Layer& layer, const at::Tensor& x) const {
    const auto gated = [&](const at::Tensor& gate, const at::Tensor& up) {
        return config_.activation == ModelConfig::Activation::silu
                   ? silu_multiply(arithmetic_, gate, up)
                   : at::gelu(gate, "tanh") * up;
    };
    if (!layer.gate_up) {
        const auto parts = apply(layer, x, {"gate_proj", "up_proj"});
        return apply(layer, gated(parts[0], parts[1]), {"down_proj"})[0];
    }
    const auto parts = layer.gate_up->apply(x).chunk(2, 1);
    return parallel_.sum(layer.packed_down->apply(gated(parts[0], parts[1])));
}

at::Tensor CausalLm::pass(std::size_t index, const at::Tensor& input, const Rotary& turn,
                          Attention& attention) const {
    const Layer& layer = layers_[index];
    const AttentionLayer place{static_cast<std::int64_t>(index), config_.window(index)};
    const Heads heads = project(layer, normalise(input, layer.input_norm));
    const at::Tensor attended =
        attention.attend(place, turn.rotate(heads.query), turn.rotate(heads.key), heads.value);
    at::Tensor output = layer.packed_o ? parallel_.sum(layer.packed_o->apply(attended))
                                       : apply(layer, attended, {"o_proj"})[0];
    const at::Tensor x =
        input + (config_.output_norms ? normalise(output, layer.attention_output_norm) : output);
    output = feed_forward(layer, normalise(x, layer.mlp_norm));
    return x + (config_.output_norms ? normalise(output, layer.mlp_output_norm) : output);
}

at::Tensor CausalLm::hidden_states(const at::Tensor& tokens, Attention& attention) const {
    const auto not_owned = std::shared_ptr<Attention>(std::shared_ptr<Attention>(), &attention);
    return hidden_states(tokens, not_owned, {});
}

at::Tensor CausalLm::hidden_states(const at::Tensor& tokens,
                                   const std::shared_ptr<Attention>& attention,
                                   const PassOptions& options) const {
    at::Tensor x = embed(tokens.to(device()));
    if (config_.embedding_scale != 1)
        x = x * at::scalar_tensor(config_.embedding_scale, x.options());
    const bool recompute = options.activations == PassOptions::Activations::recompute;
    if (recompute && c10::GradMode::is_enabled() && !x.requires_grad())
        x.requires_grad_(true);  // what is computed again hangs on its input
    const at::Tensor positions = attention->positions();
    const auto rotary = [&](const RotaryConfig& config) {
        return Rotary(arithmetic_, config, config_.head_dim, positions, x);
    };
    const Rotary whole = rotary(config_.rotary);
    const Rotary local =
        config_.local_rotary == config_.rotary ? whole : rotary(config_.local_rotary);
    for (std::size_t i = 0; i < layers_.size(); ++i) {
        const Rotary& turn = config_.window(i) > 0 ? local : whole;
        if (options.layer_done)
            x = watch_backward(
                x, [done = options.layer_done, i] { done(static_cast<std::int64_t>(i)); });
        if (recompute)
            x = recompute_later(x, [this, i, turn, attention](const at::Tensor& input) {
                return pass(i, input, turn, *attention);
            });
        else
            x = pass(i, x, turn, *attention);
    }
    return normalise(x, final_norm_);
}

at::Tensor CausalLm::logits(const at::Tensor& hidden) const {
    if (!packed_head_)
        return at::linear(hidden, head_);
    return parallel_.join_columns(packed_head_->apply(hidden),
                                  static_cast<std::int64_t>(vocabulary_.begin), config_.vocab_size);
}

std::int64_t logit_block_columns(std::int64_t rows, std::int64_t vocabulary) {
    constexpr std::int64_t elements = std::int64_t{1} << 22, least = 2048;
    return std::min(vocabulary,
                    std::max(least, elements / std::max<std::int64_t>(rows, 1) / 64 * 64));
}

at::Tensor target_log_probabilities(const CausalLm& model, const at::Tensor& hidden,
                                    const at::Tensor& targets) {
    if (!model.parameters().empty()) {
        const auto& parameters = model.parameters();
        const NamedParameter& head =
            model.config().tie_word_embeddings ? parameters.front() : parameters.back();
        return training::target_log_probabilities(hidden, head.tensor, targets.to(hidden.device()));
    }
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

}  // namespace popalign::lm
