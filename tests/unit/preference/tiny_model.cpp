#include "unit/preference/tiny_model.hpp"

#include "preference/data/batch_plan.hpp"

#include <popalign/base/random.hpp>
#include <popalign/lm/transformer/architecture.hpp>

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

lm::ModelConfig tiny_config(const std::string& architecture, std::int64_t vocabulary) {
    lm::ModelConfig config;
    config.architecture = architecture;
    config.vocab_size = vocabulary;
    config.hidden_size = 16;
    config.intermediate_size = 24;
    config.num_hidden_layers = 2;
    config.num_attention_heads = 4;
    config.num_key_value_heads = 2;
    config.head_dim = 4;
    config.max_position_embeddings = 256;
    config.optional_weights = lm::architecture_of(config).optional_weights;
    config.tie_word_embeddings = architecture == "llama";
    return config;
}

void draw_weights(lm::TrainableLm& model) {
    at::manual_seed(7);
    for (lm::NamedParameter& parameter : model.parameters()) {
        const bool is_norm = parameter.name.find("norm") != std::string::npos;
        const double scale = parameter.name == "score.weight" ? 0.1 : 0.2;
        const at::Tensor values = at::randn(parameter.tensor.sizes(), at::kDouble) * scale;
        parameter.tensor.copy_(is_norm ? values + 1 : values);
    }
}

}  // namespace

lm::TrainableLm tiny_model(const std::string& architecture, at::ScalarType dtype, at::Device device,
                           std::int64_t vocabulary) {
    lm::TrainableLm model(tiny_config(architecture, vocabulary), dtype, device);
    draw_weights(model);
    return model;
}

lm::TrainableLm tiny_critic(at::ScalarType dtype) {
    lm::TrainableLm model(tiny_config("llama", token_range), dtype, at::kCPU,
                          lm::OutputHead::score);
    draw_weights(model);
    return model;
}

preference::PairData random_pairs(std::size_t count, std::size_t strategies) {
    preference::PairData data;
    auto examples = std::make_shared<std::vector<preference::PairExample>>();
    for (std::size_t i = 0; i < count; ++i) {
        const RandomStream stream(11, std::to_string(i), "test pairs");
        std::uint64_t position = 0;
        preference::PairExample example{random_tokens(stream, position, 2, 9),
                                        random_tokens(stream, position, 1, 12),
                                        random_tokens(stream, position, 1, 12),
                                        static_cast<std::uint32_t>(i % strategies),
                                        10 * i,
                                        i / strategies};
        data.rows.push_back(example.pair);
        data.lengths.push_back(preference::lengths_of(example));
        data.hashes.push_back(preference::hashes_of(example));
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

std::vector<std::size_t> all_items(const preference::PairData& data) {
    std::vector<std::size_t> items(data.size());
    std::iota(items.begin(), items.end(), std::size_t{0});
    return items;
}

preference::CompletionLogProbabilities own_reference(const lm::TrainableLm& model,
                                                     const preference::PairData& data) {
    return preference::compute_log_probabilities(comm::Communicator(), model, data, all_items(data),
                                                 256, nullptr, Logger());
}

std::vector<preference::ReferencedPair> referenced(
    const preference::PairData& data, const preference::CompletionLogProbabilities& reference,
    std::span<const std::size_t> items) {
    std::vector<preference::ReferencedPair> pairs;
    for (const std::size_t item : items)
        pairs.push_back(
            {data.example(item), reference.chosen.at(item), reference.rejected.at(item)});
    return pairs;
}

preference::BatchShare share_of(
    const comm::Communicator& comm, const preference::PairData& data,
    const preference::CompletionLogProbabilities& reference, const preference::PairData* mismatched,
    const preference::CompletionLogProbabilities* mismatched_reference) {
    const auto items = all_items(data);
    return preference::load_share(comm, data, reference, items, mismatched, mismatched_reference);
}

void perturb(lm::TrainableLm& model, double scale) {
    const c10::NoGradGuard no_gradients;
    at::manual_seed(13);
    for (lm::NamedParameter& parameter : model.parameters())
        parameter.tensor.add_(
            (at::randn(parameter.tensor.sizes(), at::kDouble) * scale).to(parameter.tensor));
}

}  // namespace popalign::test
