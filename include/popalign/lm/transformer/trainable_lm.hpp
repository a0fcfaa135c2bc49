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

/// Output layer of a model.
enum class OutputHead {
    tokens,  ///< logits over the vocabulary
    score    ///< one number per sequence: a reward model
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
    /// Parameters that training changes: the adapters if there are any, else all parameters.
    std::vector<NamedParameter>& trainable() noexcept;
    const std::vector<NamedParameter>& trainable() const noexcept;

    /// Adds adapters to the target weights; they have no effect at first (B is 0, A is drawn from
    /// `seed`). Afterwards only they, and the head of a reward model, are trained. Throws as
    /// `validate`.
    void add_adapters(const AdapterOptions& options);
    /// Merges the adapters into the weights and removes them.
    void merge_adapters();

    /// Returns a copy of the model with weights for inference.
    CausalLm for_inference() const;

  private:
    TrainableLm(const ModelConfig& config, at::ScalarType dtype, at::Device device,
                std::shared_ptr<TrainableWeights> weights);

    std::shared_ptr<TrainableWeights> trainable_weights_;
};

/// Returns the number of vocabulary columns whose logits exist at once in training, for all `rows`:
/// few enough for the processor's caches, many enough for efficient products.
std::int64_t logit_block_columns(std::int64_t rows, std::int64_t vocabulary);

}  // namespace popalign::lm
