#pragma once

#include <popalign/lm/transformer/adapter_options.hpp>
#include <popalign/lm/transformer/causal_lm.hpp>

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace popalign::lm {

class TrainableWeights;

struct NamedParameter {
    std::string name;  ///< as in HF checkpoints, e.g. "model.layers.0.self_attn.q_proj.weight"
    at::Tensor tensor;
    std::optional<std::int64_t> layer = {};  ///< nothing: outside the layers
};

/// The last thing that a model computes.
enum class OutputHead {
    tokens,  ///< logits over the vocabulary
    score    ///< one number a sequence: a reward model
};

/// A model whose parameters are plain tensors: differentiable when they require gradients, and
/// saved as an HF directory.
class TrainableLm : public CausalLm {
  public:
    /// Parameters are zero until they are assigned.
    TrainableLm(const ModelConfig& config, at::ScalarType dtype, at::Device device,
                OutputHead head = OutputHead::tokens);

    /// In HF's order; shared storage, so filling one changes the model. Tied embeddings appear
    /// once, a reward model's "score.weight" last.
    std::vector<NamedParameter>& parameters() noexcept;
    const std::vector<NamedParameter>& parameters() const noexcept;
    /// Throws Error for an unknown name.
    at::Tensor& parameter(const std::string& name);
    /// What training changes: the adapters where there are any, else all parameters.
    std::vector<NamedParameter>& trainable() noexcept;
    const std::vector<NamedParameter>& trainable() const noexcept;

    /// Gives the target weights adapters that change nothing yet (B is 0, A drawn from `seed`).
    /// From then on they are what is trained, with a reward model's head. Throws as `validate`.
    void add_adapters(const AdapterOptions& options);
    /// Adds the adapters to the weights and drops them.
    void merge_adapters();

    /// The same model with weights for inference: a copy.
    CausalLm for_inference() const;

  private:
    TrainableLm(const ModelConfig& config, at::ScalarType dtype, at::Device device,
                std::shared_ptr<TrainableWeights> weights);

    std::shared_ptr<TrainableWeights> trainable_weights_;
};

/// Columns of the vocabulary whose logits exist at once in training, for all `rows`: few enough to
/// stay near a processor's caches, many enough for efficient products.
std::int64_t logit_block_columns(std::int64_t rows, std::int64_t vocabulary);

}  // namespace popalign::lm
