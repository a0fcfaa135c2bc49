#pragma once

#include "lm/transformer/model_weights.hpp"
#include "lm/transformer/panel_matrix.hpp"
#include "lm/transformer/weight_memory.hpp"

#include <popalign/lm/transformer/architecture.hpp>
#include <popalign/lm/transformer/tensor_parallel.hpp>

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace popalign::lm {

/// Fills `weight` with the part `slice` of a weight.
using WeightReader =
    std::function<void(const WeightSpec& spec, const WeightSlice& slice, at::Tensor& weight)>;

/// Weights that are only multiplied with, laid out for this device's matrix kernels: one rank's
/// slice of the model, in memory that the ranks of a node may share.
class InferenceWeights final : public ModelWeights {
  public:
    /// Fills `memory` with what `read` gives. Of ranks that share the memory each reads and fills a
    /// part; it may be used when all have.
    InferenceWeights(const ModelConfig& config, at::TensorOptions options, WeightMemory& memory,
                     const WeightReader& read, const TensorParallel& parallel);
    /// The memory that this takes [byte].
    static std::size_t bytes(const ModelConfig& config, at::TensorOptions options,
                             const TensorParallel& parallel);

    const LayerWeights& layer(std::size_t index) const override { return layers_.at(index); }
    ElementwiseImpl elementwise() const noexcept override { return elementwise_; }
    at::Tensor embed(const at::Tensor& tokens) const override;
    at::Tensor final_norm() const override { return final_norm_; }
    at::Tensor logits(const at::Tensor& hidden) const override;
    at::Tensor target_log_probabilities(const at::Tensor& hidden,
                                        const at::Tensor& targets) const override;

  private:
    /// The projections of a group, one below the other in one matrix.
    struct Group {
        std::shared_ptr<const PanelMatrix> matrix;
        at::Tensor bias;                  ///< of all together, or undefined
        std::vector<std::int64_t> sizes;  ///< rows of each
        bool summed = false;              ///< over the ranks that hold the model
    };
    class Layer final : public LayerWeights {
      public:
        explicit Layer(const TensorParallel& parallel) : parallel_(parallel) {}
        std::vector<at::Tensor> project(std::string_view group, const at::Tensor& x) const override;
        at::Tensor norm(std::string_view name) const override;

        std::map<std::string, Group, std::less<>> groups;
        std::map<std::string, at::Tensor, std::less<>> norms;

      private:
        TensorParallel parallel_;
    };
    class Builder;
    void add_vectors(const Builder& builder, const std::vector<WeightSpec>& specs);

    TensorParallel parallel_;
    std::int64_t vocab_size_;
    Range vocabulary_;  ///< rows of embedding and head
    ElementwiseImpl elementwise_;
    std::shared_ptr<const PanelMatrix> embedding_, head_;
    at::Tensor final_norm_;
    std::vector<Layer> layers_;
};

}  // namespace popalign::lm
