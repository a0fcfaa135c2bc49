#pragma once

#include "lm/transformer/model_weights.hpp"

#include <popalign/lm/transformer/adapter_options.hpp>
#include <popalign/lm/transformer/architecture.hpp>
#include <popalign/lm/transformer/trainable_lm.hpp>

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace popalign::lm {

/// Plain weights that gradients flow to, each a tensor of its own, with low-rank adapters where
/// they are asked for.
class TrainableWeights final : public ModelWeights {
  public:
    /// Zeros.
    TrainableWeights(const ModelConfig& config, at::TensorOptions options, OutputHead head);

    const LayerWeights& layer(std::size_t index) const override { return layers_.at(index); }
    ElementwiseImpl elementwise() const noexcept override { return ElementwiseImpl::libtorch; }
    at::Tensor embed(const at::Tensor& tokens) const override;
    at::Tensor final_norm() const override { return final_norm_; }
    at::Tensor logits(const at::Tensor& hidden) const override;
    at::Tensor target_log_probabilities(const at::Tensor& hidden,
                                        const at::Tensor& targets) const override;

    /// In HF's order; tied embeddings stand there once.
    std::vector<NamedParameter>& parameters() noexcept { return parameters_; }
    /// The adapters, with a reward model's head, which is new and trained beside them; empty where
    /// there are none.
    std::vector<NamedParameter>& adapters() noexcept { return adapters_; }
    /// [1, hidden], among the parameters; undefined where the head is for tokens.
    const at::Tensor& score_weight() const noexcept { return score_; }
    void add_adapters(const AdapterOptions& options);
    void merge_adapters();

  private:
    struct Adapter {
        at::Tensor a, b;  ///< [rank, in], [out, rank]
    };
    struct Projection {
        at::Tensor weight, bias;  ///< [out, in]; [out] or undefined
        std::string hf_name;      ///< without ".weight"
    };
    class Layer final : public LayerWeights {
      public:
        std::vector<at::Tensor> project(std::string_view group, const at::Tensor& x) const override;
        at::Tensor norm(std::string_view name) const override;

        std::map<std::string, Projection, std::less<>> projections;
        std::map<std::string, std::vector<std::string>, std::less<>> groups;  ///< their projections
        std::map<std::string, at::Tensor, std::less<>> norms;
        std::map<std::string, Adapter, std::less<>> adapters;  ///< by projection
        double adapter_scale = 1;
    };
    void place(const WeightSpec& spec, const at::Tensor& weight);
    at::Tensor head() const;

    std::vector<NamedParameter> parameters_, adapters_;
    at::Tensor embedding_, final_norm_, head_, score_;
    std::vector<Layer> layers_;
};

}  // namespace popalign::lm
