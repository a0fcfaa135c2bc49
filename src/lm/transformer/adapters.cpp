#include "lm/transformer/training_kernels.hpp"

#include <popalign/base/error.hpp>
#include <popalign/lm/transformer/adapter_options.hpp>
#include <popalign/lm/transformer/causal_lm.hpp>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace popalign::lm {
namespace {

/// HF's name of a layer's projection.
std::string weight_name(std::size_t layer, const std::string& projection) {
    const bool attends = projection[1] == '_';  // q, k, v and o
    return fmt::format("model.layers.{}.{}.{}", layer, attends ? "self_attn" : "mlp", projection);
}

}  // namespace

void AdapterOptions::validate() const {
    const std::vector<std::string> known = AdapterOptions{}.targets;
    for (const std::string& target : targets)
        if (std::ranges::find(known, target) == known.end())
            throw UsageError(fmt::format("train.lora_targets: unknown projection '{}'; use {}",
                                         target, fmt::join(known, ", ")));
}

std::vector<at::Tensor> CausalLm::apply(const Layer& layer, const at::Tensor& x,
                                        std::initializer_list<const char*> wanted) const {
    using Member = at::Tensor Layer::*;
    static const std::map<std::string, std::pair<Member, Member>> members{
        {"q_proj", {&Layer::q, &Layer::q_bias}}, {"k_proj", {&Layer::k, &Layer::k_bias}},
        {"v_proj", {&Layer::v, &Layer::v_bias}}, {"o_proj", {&Layer::o, nullptr}},
        {"gate_proj", {&Layer::gate, nullptr}},  {"up_proj", {&Layer::up, nullptr}},
        {"down_proj", {&Layer::down, nullptr}}};
    std::vector<at::Tensor> weights, biases;
    for (const char* name : wanted) {
        const auto& [weight, bias] = members.at(name);
        weights.push_back(layer.*weight);
        biases.push_back(bias == nullptr ? at::Tensor() : layer.*bias);
    }
    std::vector<at::Tensor> outputs = training::project(x, weights, biases);
    std::size_t i = 0;
    for (const char* name : wanted) {
        const auto adapter = layer.adapters.find(name);
        at::Tensor& output = outputs[i++];
        if (adapter == layer.adapters.end())
            continue;
        const at::Tensor inner = training::project(x, {adapter->second.a}, {at::Tensor()})[0];
        output = output +
                 training::project(inner, {adapter->second.b}, {at::Tensor()})[0] * adapter_scale_;
    }
    return outputs;
}

void CausalLm::add_adapters(const AdapterOptions& options) {
    const c10::NoGradGuard no_gradients;
    options.validate();
    merge_adapters();
    adapter_scale_ = options.alpha / static_cast<double>(options.rank);
    auto generator = at::detail::createCPUGenerator(options.seed);
    for (std::size_t i = 0; i < layers_.size(); ++i)
        for (const std::string& target : options.targets) {
            const std::string name = weight_name(i, target);
            const at::Tensor weight = parameter(name + ".weight");
            const double bound = 1 / std::sqrt(static_cast<double>(weight.size(1)));
            // Drawn in one type, so that all types begin alike.
            const at::Tensor drawn = at::empty({options.rank, weight.size(1)}, at::kDouble)
                                         .uniform_(-bound, bound, generator);
            Adapter adapter{drawn.to(weight.options()),
                            at::zeros({weight.size(0), options.rank}, weight.options())};
            adapters_.push_back({name + ".lora_A.weight", adapter.a});
            adapters_.push_back({name + ".lora_B.weight", adapter.b});
            layers_[i].adapters[target] = std::move(adapter);
        }
    if (parameters_.back().name == "score.weight")  // a reward model's new head
        adapters_.push_back(parameters_.back());
}

void CausalLm::merge_adapters() {
    const c10::NoGradGuard no_gradients;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
        for (const auto& [target, adapter] : layers_[i].adapters) {
            at::Tensor& weight = parameter(weight_name(i, target) + ".weight");
            const at::Tensor change = at::mm(adapter.b.to(at::kDouble), adapter.a.to(at::kDouble));
            weight.add_((change * adapter_scale_).to(weight.scalar_type()));
        }
        layers_[i].adapters.clear();
    }
    adapters_.clear();
}

}  // namespace popalign::lm
