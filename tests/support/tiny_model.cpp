#include "support/tiny_model.hpp"

#include <popalign/base/random.hpp>
#include <popalign/lm/transformer/architecture.hpp>

#include <ATen/ATen.h>

#include <cmath>

namespace popalign::test {

lm::TrainableLm make_tiny_model(const std::string& architecture, std::uint64_t seed,
                                at::ScalarType dtype, at::Device device, std::int64_t vocabulary,
                                lm::OutputHead head) {
    lm::ModelConfig config;
    config.architecture = architecture;
    const lm::Architecture& row = lm::architecture_of(config);
    config = row.defaults();
    config.vocab_size = vocabulary;
    config.hidden_size = 32;
    config.intermediate_size = 48;
    config.num_hidden_layers = 2;
    config.num_attention_heads = 4;
    config.num_key_value_heads = 2;
    config.head_dim = 8;
    config.max_position_embeddings = 256;
    config.tie_word_embeddings = architecture == "llama";
    config.embedding_scale = row.scales_embeddings ? std::sqrt(32.0) : 1;
    if (architecture == "mistral")
        config.windows = {5, 5};
    if (architecture == "llama") {
        config.rotary.scaling = lm::RotaryConfig::Scaling::llama3;
        config.rotary.factor = 4;
        config.rotary.original_max_position_embeddings = 16;
    }
    config.local_rotary = config.rotary;
    if (architecture == "gemma3_text") {
        config.windows = {5, 0};
        config.local_rotary.theta = 100;
        config.rotary.scaling = lm::RotaryConfig::Scaling::linear;
        config.rotary.factor = 4;
        config.query_pre_attn_scalar = 5;
    }
    lm::TrainableLm model(config, dtype, device, head);
    for (auto& [name, tensor, layer] : model.parameters()) {
        const RandomStream stream(seed, name, "weights");
        const at::Tensor values = at::empty(tensor.sizes(), at::kDouble);
        auto* data = values.data_ptr<double>();
        for (std::int64_t i = 0; i < values.numel(); ++i)
            data[i] = (stream.uniform(static_cast<std::uint64_t>(i)) - 0.5) *
                          (name.find("norm") != std::string::npos ? 0.2 : 0.6) +
                      (name.find("norm") != std::string::npos ? 1.0 : 0.0);
        tensor.copy_(values);
    }
    return model;
}

std::vector<TokenId> random_tokens(std::size_t count, std::uint64_t seed, std::int64_t vocabulary) {
    const RandomStream stream(seed, "tokens", "test");
    std::vector<TokenId> tokens;
    for (std::size_t i = 0; i < count; ++i)
        tokens.push_back(
            static_cast<TokenId>(stream.bits(i) % static_cast<std::uint64_t>(vocabulary)));
    return tokens;
}

}  // namespace popalign::test
