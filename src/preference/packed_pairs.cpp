#include <popalign/base/error.hpp>
#include <popalign/lm/reward_model.hpp>
#include <popalign/preference/packed_pairs.hpp>

#include <ATen/ATen.h>

#include <map>

namespace popalign {
namespace {

void add_completion(PackedPairs& packed, std::size_t prompt, std::span<const TokenId> tokens,
                    std::int64_t sequence) {
    const std::size_t segment = packed.forest.add(tokens, prompt);
    const std::int64_t first = packed.forest.segments[segment].begin;
    std::int64_t predictor = packed.forest.segments[prompt].end - 1;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        packed.rows.push_back(predictor);
        packed.targets.push_back(tokens[i]);
        packed.sequences.push_back(sequence);
        predictor = first + static_cast<std::int64_t>(i);
    }
    packed.ends[static_cast<std::size_t>(sequence)] = packed.forest.segments[segment].end - 1;
}

at::Tensor to_tensor(const std::vector<std::int64_t>& values, at::Device device) {
    return at::tensor(values, at::kLong).to(device);
}

}  // namespace

PackedPairs pack_pairs(std::span<const PairExample> examples) {
    PackedPairs packed;
    std::map<std::vector<TokenId>, std::size_t> prompts;
    for (const PairExample& example : examples) {
        if (example.prompt.empty() || example.chosen.empty())
            throw Error("a pair without prompt or completion tokens cannot be trained on");
        auto [prompt, is_new] = prompts.try_emplace(example.prompt, 0);
        if (is_new)
            prompt->second = packed.forest.add(example.prompt);
        packed.ends.resize(packed.ends.size() + 2, packed.forest.segments[prompt->second].end - 1);
        add_completion(packed, prompt->second, example.chosen, 2 * packed.pairs);
        if (!example.rejected.empty())
            add_completion(packed, prompt->second, example.rejected, 2 * packed.pairs + 1);
        ++packed.pairs;
    }
    return packed;
}

at::Tensor sequence_log_probabilities(const CausalLm& model, const PackedPairs& packed) {
    const at::Device device = model.device();
    ForestAttention attention(packed.forest);
    const at::Tensor hidden =
        model.hidden_states(to_tensor(packed.forest.tokens, device), attention);
    const at::Tensor token_logps =
        target_log_probabilities(model, hidden.index_select(0, to_tensor(packed.rows, device)),
                                 to_tensor(packed.targets, device));
    // Hundreds of terms: float64 keeps their sum exact enough for margins of 1e-4 nat.
    return at::zeros({2 * packed.pairs}, at::TensorOptions(at::kDouble).device(device))
        .index_add(0, to_tensor(packed.sequences, device), token_logps.to(at::kDouble))
        .view({packed.pairs, 2});
}

at::Tensor sequence_scores(const CausalLm& model, const PackedPairs& packed) {
    const at::Device device = model.device();
    ForestAttention attention(packed.forest);
    const at::Tensor hidden =
        model.hidden_states(to_tensor(packed.forest.tokens, device), attention);
    return reward_scores(model, hidden.index_select(0, to_tensor(packed.ends, device)))
        .to(at::kDouble)
        .view({packed.pairs, 2});
}

at::Tensor pair_values(const CausalLm& model, const PackedPairs& packed) {
    return is_reward_model(model) ? sequence_scores(model, packed)
                                  : sequence_log_probabilities(model, packed);
}

}  // namespace popalign
