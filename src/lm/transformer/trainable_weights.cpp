#include "lm/transformer/trainable_weights.hpp"

#include "lm/transformer/training_kernels.hpp"

#include <popalign/base/error.hpp>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

namespace popalign::lm {

TrainableWeights::TrainableWeights(const ModelConfig& config, at::TensorOptions options,
                                   OutputHead head)
    : layers_(static_cast<std::size_t>(config.num_hidden_layers)) {
    for (const WeightSpec& spec : weight_specs(config)) {
        if (spec.name == "lm_head" && head == OutputHead::score)
            continue;
        parameters_.push_back({spec.hf_name, at::zeros(spec.shape, options), spec.layer});
        place(spec, parameters_.back().tensor);
    }
    if (head == OutputHead::score)
        parameters_.push_back(
            {"score.weight", score_ = at::zeros({1, config.hidden_size}, options), {}});
    else if (config.tie_word_embeddings)
        head_ = embedding_;
}

void TrainableWeights::place(const WeightSpec& spec, const at::Tensor& weight) {
    if (!spec.layer) {
        (spec.name == "embed_tokens" ? embedding_
         : spec.name == "final_norm" ? final_norm_
                                     : head_) = weight;
        return;
    }
    Layer& layer = layers_[static_cast<std::size_t>(*spec.layer)];
    constexpr std::string_view bias = ".bias", suffix = ".weight";
    if (spec.name.ends_with(bias)) {
        layer.projections.at(spec.name.substr(0, spec.name.size() - bias.size())).bias = weight;
    } else if (!spec.group.empty()) {
        layer.projections[spec.name] = {
            weight, {}, spec.hf_name.substr(0, spec.hf_name.size() - suffix.size())};
        layer.groups[spec.group].push_back(spec.name);
    } else {
        layer.norms[spec.name] = weight;
    }
}

std::vector<at::Tensor> TrainableWeights::Layer::project(std::string_view group,
                                                         const at::Tensor& x) const {
    const std::vector<std::string>& members = groups.find(group)->second;
    std::vector<at::Tensor> weights, biases;
    for (const std::string& name : members) {
        const Projection& projection = projections.find(name)->second;
        weights.push_back(projection.weight);
        biases.push_back(projection.bias);
    }
    std::vector<at::Tensor> outputs = training::project(x, weights, biases);
    for (std::size_t i = 0; i < members.size(); ++i) {
        const auto adapter = adapters.find(members[i]);
        if (adapter == adapters.end())
            continue;
        const at::Tensor inner = training::project(x, {adapter->second.a}, {at::Tensor()})[0];
        outputs[i] = outputs[i] + training::project(inner, {adapter->second.b}, {at::Tensor()})[0] *
                                      adapter_scale;
    }
    return outputs;
}

at::Tensor TrainableWeights::Layer::norm(std::string_view name) const {
    const auto found = norms.find(name);
    return found == norms.end() ? at::Tensor() : found->second;
}

at::Tensor TrainableWeights::embed(const at::Tensor& tokens) const {
    return training::embed(embedding_, tokens);
}

at::Tensor TrainableWeights::head() const {
    if (!head_.defined())
        throw Error("a reward model scores answers; it has no logits");
    return head_;
}

at::Tensor TrainableWeights::logits(const at::Tensor& hidden) const {
    return at::linear(hidden, head());
}

at::Tensor TrainableWeights::target_log_probabilities(const at::Tensor& hidden,
                                                      const at::Tensor& targets) const {
    return training::target_log_probabilities(hidden, head(), targets.to(hidden.device()));
}

void TrainableWeights::add_adapters(const AdapterOptions& options) {
    const c10::NoGradGuard no_gradients;
    options.validate();
    merge_adapters();
    auto generator = at::detail::createCPUGenerator(options.seed);
    for (std::size_t i = 0; i < layers_.size(); ++i) {
        Layer& layer = layers_[i];
        layer.adapter_scale = options.alpha / static_cast<double>(options.rank);
        for (const std::string& target : options.targets) {
            const auto& [weight, bias, name] = layer.projections.at(target);
            const double bound = 1 / std::sqrt(static_cast<double>(weight.size(1)));
            // Drawn in one type, so that all types begin alike.
            const at::Tensor drawn = at::empty({options.rank, weight.size(1)}, at::kDouble)
                                         .uniform_(-bound, bound, generator);
            Adapter adapter{drawn.to(weight.options()),
                            at::zeros({weight.size(0), options.rank}, weight.options())};
            const auto index = static_cast<std::int64_t>(i);
            adapters_.push_back({name + ".lora_A.weight", adapter.a, index});
            adapters_.push_back({name + ".lora_B.weight", adapter.b, index});
            layer.adapters[target] = std::move(adapter);
        }
    }
    if (score_.defined())
        adapters_.push_back(parameters_.back());
}

void TrainableWeights::merge_adapters() {
    const c10::NoGradGuard no_gradients;
    for (Layer& layer : layers_) {
        for (const auto& [target, adapter] : layer.adapters) {
            at::Tensor& weight = layer.projections.at(target).weight;
            const at::Tensor change = at::mm(adapter.b.to(at::kDouble), adapter.a.to(at::kDouble));
            weight.add_((change * layer.adapter_scale).to(weight.scalar_type()));
        }
        layer.adapters.clear();
    }
    adapters_.clear();
}

}  // namespace popalign::lm
