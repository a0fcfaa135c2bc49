#include "campaign/arithmetic_check.hpp"

#include <popalign/lm/transformer/attention.hpp>
#include <popalign/lm/transformer/model_config.hpp>
#include <popalign/lm/transformer/segment_forest.hpp>
#include <popalign/lm/transformer/trainable_lm.hpp>
#include <popalign/record/token.hpp>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/GradMode.h>

#include <vector>

namespace popalign::campaign {
namespace {

constexpr std::int64_t vocabulary = 89;

lm::TrainableLm random_model(at::ScalarType dtype, at::Device device) {
    lm::ModelConfig config;
    config.architecture = "qwen2";
    config.vocab_size = vocabulary;
    config.hidden_size = 64;
    config.intermediate_size = 96;
    config.num_hidden_layers = 2;
    config.num_attention_heads = 4;
    config.num_key_value_heads = 2;
    config.head_dim = 16;
    config.max_position_embeddings = 256;
    config.optional_weights = {"q_proj.bias", "k_proj.bias", "v_proj.bias"};
    config.windows = {0, 6};
    lm::TrainableLm model(config, dtype, device);
    auto generator = at::detail::createCPUGenerator(1);
    for (lm::NamedParameter& parameter : model.parameters()) {
        const bool is_norm = parameter.name.find("norm") != std::string::npos;
        parameter.tensor.copy_(
            at::empty(parameter.tensor.sizes(), at::kDouble).normal_(is_norm, 0.2, generator));
    }
    return model;
}

lm::SegmentForest sequences() {
    std::int64_t next = 1;
    lm::SegmentForest forest;
    const auto add = [&](std::size_t count, std::optional<std::size_t> parent) {
        std::vector<TokenId> tokens;
        while (tokens.size() < count)
            tokens.push_back(static_cast<TokenId>(next = next * 31 % vocabulary));
        return forest.add(tokens, parent);
    };
    const std::size_t prompt = add(40, {});
    add(9, prompt);
    add(17, {});
    add(3, add(12, prompt));
    return forest;
}

struct Outcome {
    at::Tensor logits, gradients;  ///< float64 on the CPU
};

Outcome run(at::ScalarType dtype, at::Device device) {
    lm::TrainableLm model = random_model(dtype, device);
    for (lm::NamedParameter& parameter : model.parameters())
        parameter.tensor.requires_grad_(true);
    const lm::SegmentForest forest = sequences();
    lm::ForestAttention attention(forest);
    const c10::AutoGradMode with_gradients(true);
    const at::Tensor logits =
        model
            .logits(model.hidden_states(at::tensor(at::ArrayRef<std::int64_t>(forest.tokens)),
                                        attention))
            .to(at::kCPU, at::kDouble);
    (logits * at::arange(logits.numel(), at::kDouble).sin().view_as(logits)).sum().backward();
    std::vector<at::Tensor> gradients;
    for (const lm::NamedParameter& parameter : model.parameters())
        gradients.push_back(parameter.tensor.grad().reshape(-1).to(at::kCPU, at::kDouble));
    return {logits.detach(), at::cat(gradients)};
}

double distance(const at::Tensor& found, const at::Tensor& expected) {
    return ((found - expected).norm() / expected.norm()).item<double>();
}

}  // namespace

ArithmeticError measure_arithmetic_error(at::ScalarType dtype, at::Device device) {
    const Outcome expected = run(at::kDouble, at::kCPU), found = run(dtype, device);
    return {distance(found.logits, expected.logits), distance(found.gradients, expected.gradients)};
}

}  // namespace popalign::campaign
