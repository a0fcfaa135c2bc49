#pragma once

#include "lm/transformer/elementwise.hpp"

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <string_view>
#include <vector>

namespace popalign::lm {

/// The weights of one layer, as its forward pass uses them.
class LayerWeights {
  public:
    virtual ~LayerWeights() = default;
    /// `x` [rows, in] through each projection of a group (`WeightSpec::group`), biases added:
    /// [rows, out] each, in the order of `weight_specs`. Summed over the ranks that hold the model
    /// where its columns are split; then collective.
    virtual std::vector<at::Tensor> project(std::string_view group, const at::Tensor& x) const = 0;
    /// A norm's weight [size]; undefined where the model has none of that name.
    virtual at::Tensor norm(std::string_view name) const = 0;
};

/// All weights of a model behind one forward pass: trainable ones or those of inference.
class ModelWeights {
  public:
    virtual ~ModelWeights() = default;
    virtual const LayerWeights& layer(std::size_t index) const = 0;
    /// The code for what lies between the projections.
    virtual ElementwiseImpl elementwise() const noexcept = 0;
    /// Embeddings [rows, hidden] of `tokens` [rows] int64.
    virtual at::Tensor embed(const at::Tensor& tokens) const = 0;
    virtual at::Tensor final_norm() const = 0;
    /// Logits [rows, vocab] of `hidden` [rows, hidden].
    virtual at::Tensor logits(const at::Tensor& hidden) const = 0;
    /// log P(token) [rows] float32 (float64 where the model is) of `targets` [rows] int64 under
    /// `hidden` [rows, hidden], in blocks, so that no [rows, vocab] tensor exists.
    virtual at::Tensor target_log_probabilities(const at::Tensor& hidden,
                                                const at::Tensor& targets) const = 0;
};

}  // namespace popalign::lm
