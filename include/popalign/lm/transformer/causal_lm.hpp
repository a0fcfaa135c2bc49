#pragma once

#include <popalign/lm/transformer/model_config.hpp>
#include <popalign/lm/transformer/tensor_parallel.hpp>

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace popalign::lm {

class Attention;
class LayerWeights;
class ModelWeights;
class RewardHead;
class Rotary;

/// Options of a forward pass for the backward pass that may follow it.
struct PassOptions {
    enum class Activations {
        keep,      ///< keeps everything that the backward pass needs
        recompute  ///< keeps the input of each layer and recomputes the rest
    };
    Activations activations = Activations::keep;
    /// Called in the backward pass when the gradients of `layer` and of all parameters above it are
    /// complete.
    std::function<void(std::int64_t layer)> layer_done = {};
};

/// A decoder-only transformer: the forward pass on packed rows, over weights of any kind. Copies
/// share their weights.
class CausalLm {
  public:
    /// Takes weights that `config` describes. With `parallel` they are one rank's slice of the
    /// model, and forward passes are collective over its ranks.
    CausalLm(const ModelConfig& config, at::ScalarType dtype, at::Device device,
             std::shared_ptr<const ModelWeights> weights, const TensorParallel& parallel = {});

    /// The model's shape as this rank sees it (`TensorParallel::slice`); the vocabulary is whole.
    const ModelConfig& config() const noexcept { return config_; }
    const TensorParallel& parallel() const noexcept { return parallel_; }
    at::Device device() const noexcept { return device_; }
    at::ScalarType dtype() const noexcept { return dtype_; }

    /// Final, normalised hidden states [rows, hidden] of `tokens` [rows] int64.
    at::Tensor hidden_states(const at::Tensor& tokens, Attention& attention) const;
    /// As above, for a later backward pass; `attention` is kept until its end.
    at::Tensor hidden_states(const at::Tensor& tokens, const std::shared_ptr<Attention>& attention,
                             const PassOptions& options) const;
    /// Logits [rows, vocab] in the model's type. Throws Error for a reward model.
    at::Tensor logits(const at::Tensor& hidden) const;
    /// log P(token) [count] float32 (float64 where the model is) of `targets` [count] int64 under
    /// `hidden` [count, hidden]: in blocks, so that no [count, vocab] tensor exists, here or in the
    /// backward pass. Throws Error for a reward model.
    at::Tensor target_log_probabilities(const at::Tensor& hidden, const at::Tensor& targets) const;

    bool is_reward_model() const noexcept { return reward_head_ != nullptr; }
    /// Scores [rows] of the sequences that end at the rows of `hidden`. Throws Error for a model
    /// that is no reward model.
    at::Tensor reward_scores(const at::Tensor& hidden) const;

  protected:
    void set_reward_head(std::shared_ptr<const RewardHead> head) { reward_head_ = std::move(head); }

  private:
    struct Heads {
        at::Tensor query, key, value;  ///< [rows, heads, head_dim]
    };
    at::Tensor normalise(const at::Tensor& x, const at::Tensor& weight) const;
    Heads project(const LayerWeights& layer, const at::Tensor& x) const;
    at::Tensor feed_forward(const LayerWeights& layer, const at::Tensor& x) const;
    at::Tensor run_layer(std::size_t index, const at::Tensor& input, const Rotary& rotary,
                         Attention& attention) const;

    ModelConfig config_;
    TensorParallel parallel_;
    at::ScalarType dtype_;
    at::Device device_;
    std::shared_ptr<const ModelWeights> weights_;
    std::shared_ptr<const RewardHead> reward_head_;
};

}  // namespace popalign::lm
