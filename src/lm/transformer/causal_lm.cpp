#include "lm/transformer/differentiable.hpp"
#include "lm/transformer/elementwise.hpp"
#include "lm/transformer/model_weights.hpp"
#include "lm/transformer/reward_head.hpp"
#include "lm/transformer/rotary.hpp"

#include <popalign/base/error.hpp>
#include <popalign/lm/transformer/attention.hpp>
#include <popalign/lm/transformer/causal_lm.hpp>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <utility>

namespace popalign::lm {

CausalLm::CausalLm(const ModelConfig& config, at::ScalarType dtype, at::Device device,
                   std::shared_ptr<const ModelWeights> weights, const TensorParallel& parallel)
    : config_(parallel.slice(config)),
      parallel_(parallel),
      dtype_(dtype),
      device_(device),
      weights_(std::move(weights)) {}

at::Tensor CausalLm::normalise(const at::Tensor& x, const at::Tensor& weight) const {
    const ElementwiseImpl implementation = weights_->elementwise();
    if (config_.norm_offset == 0)
        return rms_norm(implementation, x, weight, config_.rms_norm_eps);
    const auto precise = x.scalar_type() == at::kBFloat16 ? at::kFloat : x.scalar_type();
    return rms_norm(implementation, x.to(precise), weight.to(precise) + config_.norm_offset,
                    config_.rms_norm_eps)
        .to(x.scalar_type());
}

CausalLm::Heads CausalLm::project(const LayerWeights& layer, const at::Tensor& x) const {
    const auto heads = [&](const at::Tensor& projected) {
        return projected.view({x.size(0), -1, config_.head_dim});
    };
    const auto parts = layer.project("qkv_proj", x);
    Heads result{heads(parts[0]), heads(parts[1]), heads(parts[2])};
    const auto normalise_each = [&](at::Tensor& part, const at::Tensor& weight) {
        if (weight.defined())
            part = heads(normalise(part.reshape({-1, config_.head_dim}), weight));
    };
    normalise_each(result.query, layer.norm("q_norm"));
    normalise_each(result.key, layer.norm("k_norm"));
    if (config_.query_pre_attn_scalar > 0)  // attention itself divides by the root of head_dim
        result.query = result.query * std::sqrt(static_cast<double>(config_.head_dim) /
                                                config_.query_pre_attn_scalar);
    return result;
}

at::Tensor CausalLm::feed_forward(const LayerWeights& layer, const at::Tensor& x) const {
    const auto parts = layer.project("gate_up_proj", x);
    const at::Tensor gated = config_.activation == ModelConfig::Activation::silu
                                 ? silu_multiply(weights_->elementwise(), parts[0], parts[1])
                                 : at::gelu(parts[0], "tanh") * parts[1];
    return layer.project("down_proj", gated)[0];
}

at::Tensor CausalLm::run_layer(std::size_t index, const at::Tensor& input, const Rotary& rotary,
                               Attention& attention) const {
    const LayerWeights& layer = weights_->layer(index);
    const AttentionLayer place{static_cast<std::int64_t>(index), config_.window(index)};
    const auto add = [&](const at::Tensor& x, const at::Tensor& output, const char* norm) {
        const at::Tensor weight = layer.norm(norm);
        return x + (weight.defined() ? normalise(output, weight) : output);
    };
    const Heads heads = project(layer, normalise(input, layer.norm("attention_norm")));
    const at::Tensor attended =
        attention.attend(place, rotary.rotate(heads.query), rotary.rotate(heads.key), heads.value);
    const at::Tensor x = add(input, layer.project("o_proj", attended)[0], "attention_output_norm");
    return add(x, feed_forward(layer, normalise(x, layer.norm("mlp_norm"))), "mlp_output_norm");
}

at::Tensor CausalLm::hidden_states(const at::Tensor& tokens, Attention& attention) const {
    const auto not_owned = std::shared_ptr<Attention>(std::shared_ptr<Attention>(), &attention);
    return hidden_states(tokens, not_owned, {});
}

at::Tensor CausalLm::hidden_states(const at::Tensor& tokens,
                                   const std::shared_ptr<Attention>& attention,
                                   const PassOptions& options) const {
    at::Tensor x = weights_->embed(tokens.to(device()));
    if (config_.embedding_scale != 1)
        x = x * at::scalar_tensor(config_.embedding_scale, x.options());
    const bool recompute = options.activations == PassOptions::Activations::recompute;
    if (recompute && c10::GradMode::is_enabled() && !x.requires_grad())
        x.requires_grad_(true);  // what is computed again hangs on its input
    const at::Tensor positions = attention->positions();
    const auto make_rotary = [&](const RotaryConfig& config) {
        return Rotary(weights_->elementwise(), config, config_.head_dim, positions, x);
    };
    const Rotary whole = make_rotary(config_.rotary);
    const Rotary local =
        config_.local_rotary == config_.rotary ? whole : make_rotary(config_.local_rotary);
    for (std::int64_t i = 0; i < config_.num_hidden_layers; ++i) {
        const auto index = static_cast<std::size_t>(i);
        const Rotary& rotary = config_.window(index) > 0 ? local : whole;
        if (options.layer_done)
            x = watch_backward(x, [done = options.layer_done, i] { done(i); });
        if (recompute)
            x = recompute_later(x, [this, index, rotary, attention](const at::Tensor& input) {
                return run_layer(index, input, rotary, *attention);
            });
        else
            x = run_layer(index, x, rotary, *attention);
    }
    return normalise(x, weights_->final_norm());
}

at::Tensor CausalLm::logits(const at::Tensor& hidden) const {
    return weights_->logits(hidden);
}

at::Tensor CausalLm::target_log_probabilities(const at::Tensor& hidden,
                                              const at::Tensor& targets) const {
    return weights_->target_log_probabilities(hidden, targets);
}

at::Tensor CausalLm::reward_scores(const at::Tensor& hidden) const {
    if (!reward_head_)
        throw Error("a language model gives no scores; load a reward model");
    return reward_head_->scores(hidden);
}

}  // namespace popalign::lm
