#pragma once

#include <popalign/base/range.hpp>
#include <popalign/lm/transformer/adapter_options.hpp>
#include <popalign/lm/transformer/model_config.hpp>
#include <popalign/lm/transformer/tensor_parallel.hpp>

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace popalign::lm {

class Attention;
enum class Arithmetic;
class InferenceWeight;
class Rotary;
class WeightMemory;

/// Fills a parameter by its name in HF checkpoints.
using WeightReader = std::function<void(const std::string& name, at::Tensor& parameter)>;

struct NamedParameter {
    std::string name;  ///< as in HF checkpoints, e.g. "model.layers.0.self_attn.q_proj.weight"
    at::Tensor tensor;
};

/// What a forward pass prepares for the backward pass that may follow it.
struct PassOptions {
    enum class Activations {
        keep,      ///< all that the backward pass needs
        recompute  ///< each layer's input; the rest is computed again
    };
    Activations activations = Activations::keep;
    /// Called in the backward pass when the gradients of the parameters of `layer`, and of all that
    /// lies above it, have been added up.
    std::function<void(std::int64_t layer)> layer_done = {};
};

/// The transformer itself: parameters and the forward pass on packed rows. Differentiable when its
/// parameters require gradients.
class CausalLm {
  public:
    /// Parameters are zero until they are assigned.
    CausalLm(const ModelConfig& config, at::ScalarType dtype, at::Device device);
    /// For inference alone: weights in `memory`, laid out for this device's matrix kernels;
    /// `parameters()` is empty. Ranks that share the memory each read and fill a part of it, and
    /// may use the model when all have. With `parallel` this is one rank's slice of the model,
    /// whose parameters `read` is asked for; forward passes are then collective over its ranks.
    CausalLm(const ModelConfig& config, at::ScalarType dtype, at::Device device,
             WeightMemory& memory, const WeightReader& read, const TensorParallel& parallel = {});
    /// What that takes.
    static std::size_t inference_bytes(const ModelConfig& config, at::ScalarType dtype,
                                       at::Device device, const TensorParallel& parallel = {});

    /// Of the slice that this rank holds; the vocabulary is whole.
    const ModelConfig& config() const noexcept { return config_; }
    /// In HF's order; shared storage, so filling one changes the model. Tied embeddings appear
    /// once.
    std::vector<NamedParameter>& parameters() noexcept { return parameters_; }
    const std::vector<NamedParameter>& parameters() const noexcept { return parameters_; }
    at::Tensor& parameter(const std::string& name);
    const TensorParallel& parallel() const noexcept { return parallel_; }
    at::Device device() const noexcept { return device_; }
    at::ScalarType dtype() const noexcept { return dtype_; }
    /// The same model for inference.
    CausalLm packed() const;

    /// Gives the target weights adapters that change nothing yet (B is 0, A drawn from `seed`).
    /// From then on they are what is trained, with a reward model's head. Throws as `validate`.
    void add_adapters(const AdapterOptions& options);
    /// Adds the adapters to the weights and drops them.
    void merge_adapters();
    /// What training changes: the adapters where there are any, else all parameters.
    std::vector<NamedParameter>& trainable() noexcept {
        return adapters_.empty() ? parameters_ : adapters_;
    }
    const std::vector<NamedParameter>& trainable() const noexcept {
        return adapters_.empty() ? parameters_ : adapters_;
    }

    /// Final, normalised hidden states [rows, hidden] of `tokens` [rows] int64.
    at::Tensor hidden_states(const at::Tensor& tokens, Attention& attention) const;
    /// For a backward pass, to whose end `attention` is held.
    at::Tensor hidden_states(const at::Tensor& tokens, const std::shared_ptr<Attention>& attention,
                             const PassOptions& options) const;
    /// Logits [rows, vocab] in the model's type.
    at::Tensor logits(const at::Tensor& hidden) const;

  private:
    struct Adapter {
        at::Tensor a, b;  ///< [rank, in], [out, rank]
    };
    struct Layer {
        at::Tensor input_norm, q, k, v, o, q_bias, k_bias, v_bias, q_norm, k_norm;
        at::Tensor mlp_norm, gate, up, down, attention_output_norm, mlp_output_norm;
        /// For inference; the plain ones are gone.
        std::shared_ptr<const InferenceWeight> qkv, packed_o, gate_up, packed_down;
        at::Tensor qkv_bias;
        std::map<std::string, Adapter> adapters;  ///< by projection
    };
    struct Heads {
        at::Tensor query, key, value;  ///< [rows, heads, head_dim]
    };
    at::Tensor embed(const at::Tensor& tokens) const;
    at::Tensor normalise(const at::Tensor& x, const at::Tensor& weight) const;
    /// `x` through plain weights, with their adapters.
    std::vector<at::Tensor> apply(const Layer& layer, const at::Tensor& x,
                                  std::initializer_list<const char*> projections) const;
    Heads project(const Layer& layer, const at::Tensor& x) const;
    at::Tensor feed_forward(const Layer& layer, const at::Tensor& x) const;

    at::Tensor pass(std::size_t index, const at::Tensor& input, const Rotary& turn,
                    Attention& attention) const;

    void build(const std::function<at::Tensor(const std::string&, at::IntArrayRef)>& make,
               const std::function<void(Layer&)>& finish);

    ModelConfig config_;
    TensorParallel parallel_;
    Range vocabulary_;  ///< rows of embedding and head
    at::ScalarType dtype_;
    at::Device device_;
    Arithmetic arithmetic_;
    std::vector<NamedParameter> parameters_, adapters_;
    double adapter_scale_ = 1;
    at::Tensor embedding_, final_norm_, head_;
    std::shared_ptr<const InferenceWeight> packed_embedding_, packed_head_;
    std::vector<Layer> layers_;
};

/// Columns of the vocabulary whose logits exist at once in training, for all `rows`: few enough to
/// stay near a processor's caches, many enough for efficient products.
std::int64_t logit_block_columns(std::int64_t rows, std::int64_t vocabulary);

/// log P(token) [count] float32 (float64 where the model is) of `targets` [count] int64 under
/// `hidden` [count, hidden]: in blocks, so that no [count, vocab] tensor exists, here or in the
/// backward pass.
at::Tensor target_log_probabilities(const CausalLm& model, const at::Tensor& hidden,
                                    const at::Tensor& targets);

}  // namespace popalign::lm
