#include "unit/preference/tiny_pairs.hpp"

#include "preference/data/batch_plan.hpp"

#include <popalign/base/random.hpp>
#include <popalign/lm/transformer/architecture.hpp>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <numeric>

namespace popalign::test {
namespace {

std::vector<TokenId> random_tokens(const RandomStream& stream, std::uint64_t& position,
                                   std::size_t least, std::size_t range) {
    std::vector<TokenId> tokens(least + stream.bits(position++) % range);
    for (TokenId& token : tokens)
        token = static_cast<TokenId>(stream.bits(position++) %
                                     static_cast<std::uint64_t>(tiny_vocabulary));
    return tokens;
}

}  // namespace

lm::TrainableLm tiny_critic(at::ScalarType dtype) {
    return make_tiny_model("llama", 7, dtype, at::kCPU, tiny_vocabulary, lm::OutputHead::score);
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
