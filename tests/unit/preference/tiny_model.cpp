#include "unit/preference/tiny_model.hpp"

#include <popalign/base/random.hpp>
#include <popalign/preference/data/batch_plan.hpp>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <numeric>

namespace popalign::test {
namespace {

constexpr std::uint64_t token_range = 61;

std::vector<TokenId> random_tokens(const RandomStream& stream, std::uint64_t& position,
                                   std::size_t least, std::size_t range) {
    std::vector<TokenId> tokens(least + stream.bits(position++) % range);
    for (TokenId& token : tokens)
        token = static_cast<TokenId>(stream.bits(position++) % token_range);
    return tokens;
}

}  // namespace

CausalLm tiny_model(const std::string& architecture, at::ScalarType dtype, at::Device device,
                    std::int64_t vocabulary) {
    ModelConfig config;
    config.architecture = architecture;
    config.vocab_size = vocabulary;
    config.hidden_size = 16;
    config.intermediate_size = 24;
    config.num_hidden_layers = 2;
    config.num_attention_heads = 4;
    config.num_key_value_heads = 2;
    config.head_dim = 4;
    config.max_position_embeddings = 256;
    config.attention_bias = architecture == "qwen2";
    config.tie_word_embeddings = architecture == "llama";
    CausalLm model(config, dtype, device);
    at::manual_seed(7);
    for (NamedParameter& parameter : model.parameters()) {
        const bool is_norm = parameter.name.find("norm") != std::string::npos;
        const at::Tensor values = at::randn(parameter.tensor.sizes(), at::kDouble) * 0.2;
        parameter.tensor.copy_(is_norm ? values + 1 : values);
    }
    return model;
}

CausalLm tiny_critic(at::ScalarType dtype) {
    CausalLm model = tiny_model("llama", dtype);
    model.parameters().push_back(
        {"score.weight", at::randn({1, model.config().hidden_size}, at::kDouble).to(dtype) * 0.1});
    return model;
}

PairData random_pairs(std::size_t count, std::size_t strategies) {
    PairData data;
    auto examples = std::make_shared<std::vector<PairExample>>();
    for (std::size_t i = 0; i < count; ++i) {
        const RandomStream stream(11, std::to_string(i), "test pairs");
        std::uint64_t position = 0;
        PairExample example{random_tokens(stream, position, 2, 9),
                            random_tokens(stream, position, 1, 12),
                            random_tokens(stream, position, 1, 12),
                            static_cast<std::uint32_t>(i % strategies),
                            10 * i,
                            i / strategies};
        data.rows.push_back(example.pair);
        data.lengths.push_back(lengths_of(example));
        data.hashes.push_back(hashes_of(example));
        data.strategies.push_back(example.strategy);
        data.instructions.push_back(example.instruction);
        examples->push_back(std::move(example));
    }
    for (std::size_t i = 0; i < strategies; ++i)
        data.strategy_names.push_back("strategy" + std::to_string(i));
    data.file_pairs = 10 * count;
    data.example = [examples](std::size_t item) { return examples->at(item); };
    return data;
}

std::vector<std::size_t> all_items(const PairData& data) {
    std::vector<std::size_t> items(data.size());
    std::iota(items.begin(), items.end(), std::size_t{0});
    return items;
}

CompletionLogProbabilities own_reference(const CausalLm& model, const PairData& data) {
    return compute_log_probabilities(Communicator(), model, data, all_items(data), 256, nullptr,
                                     Logger());
}

std::vector<ReferencedPair> referenced(const PairData& data,
                                       const CompletionLogProbabilities& reference,
                                       std::span<const std::size_t> items) {
    std::vector<ReferencedPair> pairs;
    for (const std::size_t item : items)
        pairs.push_back(
            {data.example(item), reference.chosen.at(item), reference.rejected.at(item)});
    return pairs;
}

BatchShare share_of(const Communicator& comm, const PairData& data,
                    const CompletionLogProbabilities& reference, const PairData* mismatched,
                    const CompletionLogProbabilities* mismatched_reference) {
    const auto items = all_items(data);
    return load_share(comm, data, reference, items, mismatched, mismatched_reference);
}

void perturb(CausalLm& model, double scale) {
    const c10::NoGradGuard no_gradients;
    at::manual_seed(13);
    for (NamedParameter& parameter : model.parameters())
        parameter.tensor.add_(
            (at::randn(parameter.tensor.sizes(), at::kDouble) * scale).to(parameter.tensor));
}

}  // namespace popalign::test
