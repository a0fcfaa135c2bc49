#include "lm/transformer/inference_weights.hpp"
#include "lm/transformer/reward_head.hpp"
#include "lm/transformer/trainable_weights.hpp"

#include <popalign/base/error.hpp>
#include <popalign/lm/transformer/trainable_lm.hpp>

#include <ATen/ATen.h>

#include <algorithm>

namespace popalign::lm {

TrainableLm::TrainableLm(const ModelConfig& config, at::ScalarType dtype, at::Device device,
                         OutputHead head)
    : TrainableLm(config, dtype, device,
                  std::make_shared<TrainableWeights>(
                      config, at::TensorOptions().dtype(dtype).device(device), head)) {}

TrainableLm::TrainableLm(const ModelConfig& config, at::ScalarType dtype, at::Device device,
                         std::shared_ptr<TrainableWeights> weights)
    : CausalLm(config, dtype, device, weights), trainable_weights_(std::move(weights)) {
    if (trainable_weights_->score_weight().defined())
        set_reward_head(std::make_shared<RewardHead>(trainable_weights_->score_weight()));
}

std::vector<NamedParameter>& TrainableLm::parameters() noexcept {
    return trainable_weights_->parameters();
}

const std::vector<NamedParameter>& TrainableLm::parameters() const noexcept {
    return trainable_weights_->parameters();
}

at::Tensor& TrainableLm::parameter(const std::string& name) {
    const auto found = std::ranges::find(parameters(), name, &NamedParameter::name);
    if (found == parameters().end())
        throw Error("the model has no parameter '" + name + "'");
    return found->tensor;
}

std::vector<NamedParameter>& TrainableLm::trainable() noexcept {
    auto& adapters = trainable_weights_->adapters();
    return adapters.empty() ? parameters() : adapters;
}

const std::vector<NamedParameter>& TrainableLm::trainable() const noexcept {
    const auto& adapters = trainable_weights_->adapters();
    return adapters.empty() ? parameters() : adapters;
}

void TrainableLm::add_adapters(const AdapterOptions& options) {
    trainable_weights_->add_adapters(options);
}

void TrainableLm::merge_adapters() {
    trainable_weights_->merge_adapters();
}

CausalLm TrainableLm::for_inference() const {
    WeightMemory memory;
    const auto read = [&](const WeightSpec& spec, const WeightSlice&, at::Tensor& weight) {
        for (const NamedParameter& parameter : parameters())
            if (parameter.name == spec.hf_name)
                weight.copy_(parameter.tensor);
    };
    return {config(), dtype(), device(),
            std::make_shared<InferenceWeights>(config(),
                                               at::TensorOptions().dtype(dtype()).device(device()),
                                               memory, read, TensorParallel())};
}

std::int64_t logit_block_columns(std::int64_t rows, std::int64_t vocabulary) {
    constexpr std::int64_t elements = std::int64_t{1} << 22, least = 2048;
    return std::min(vocabulary,
                    std::max(least, elements / std::max<std::int64_t>(rows, 1) / 64 * 64));
}

}  // namespace popalign::lm
