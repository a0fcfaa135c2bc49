#include "preference/data/packed_pairs.hpp"

#include <popalign/base/error.hpp>
#include <popalign/lm/checkpoint/language_model.hpp>
#include <popalign/lm/transformer/attention.hpp>
#include <popalign/record/token.hpp>

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

namespace popalign::preference {
namespace {

/// Adds sequences to a forward pass, each once if the mode is to share them.
class Packer {
  public:
    Packer(PackedPairs& packed, PackingMode mode) : packed_(packed), mode_(mode) {}

    void add(const PairExample& example) {
        if (example.prompt.empty() || example.chosen.empty())
            throw Error("a pair without prompt or completion tokens cannot be trained on");
        for (const auto* side : {&example.chosen, &example.rejected})
            packed_.sides.push_back(sequence(prompt(example.prompt), *side));
    }

  private:
    using Tokens = std::span<const TokenId>;
    struct Less {
        bool operator()(Tokens a, Tokens b) const {
            return std::ranges::lexicographical_compare(a, b);
        }
        bool operator()(const std::pair<std::size_t, Tokens>& a,
                        const std::pair<std::size_t, Tokens>& b) const {
            return a.first != b.first ? a.first < b.first : (*this)(a.second, b.second);
        }
    };

    std::size_t prompt(Tokens tokens) {
        if (mode_ == PackingMode::separate)
            return packed_.forest.add(tokens);
        const auto [known, is_new] = prompts_.try_emplace(tokens);
        if (is_new)
            known->second = packed_.forest.add(tokens);
        return known->second;
    }

    std::int64_t sequence(std::size_t prompt, Tokens answer) {
        const auto [known, is_new] = sequences_.try_emplace({prompt, answer});
        if (is_new) {
            known->second = static_cast<std::int64_t>(packed_.ends.size());
            packed_.ends.push_back(packed_.forest.segments[prompt].end - 1);
            if (!answer.empty())
                add_answer(prompt, answer);
        }
        return known->second;
    }

    void add_answer(std::size_t prompt, Tokens tokens) {
        const auto sequence = static_cast<std::int64_t>(packed_.ends.size()) - 1;
        const std::size_t segment = packed_.forest.add(tokens, prompt);
        std::int64_t predictor = packed_.ends.back();
        std::int64_t row = packed_.forest.segments[segment].begin;
        for (const TokenId token : tokens) {
            packed_.rows.push_back(std::exchange(predictor, row++));
            packed_.targets.push_back(token);
            packed_.sequences.push_back(sequence);
        }
        packed_.ends.back() = predictor;
    }

    PackedPairs& packed_;
    PackingMode mode_;
    std::map<Tokens, std::size_t, Less> prompts_;
    std::map<std::pair<std::size_t, Tokens>, std::int64_t, Less> sequences_;  ///< by prompt
};

at::Tensor to_tensor(const std::vector<std::int64_t>& values, at::Device device) {
    return at::tensor(values, at::kLong).to(device);
}

at::Tensor hidden_states(const lm::CausalLm& model, const PackedPairs& packed,
                         const lm::PassOptions& options) {
    return model.hidden_states(to_tensor(packed.forest.tokens, model.device()),
                               std::make_shared<lm::ForestAttention>(packed.forest), options);
}

/// Values of sequences as those of pairs' sides [pairs, 2].
at::Tensor by_pair(const PackedPairs& packed, const at::Tensor& values) {
    return values.index_select(0, to_tensor(packed.sides, values.device()))
        .view({packed.pairs(), 2});
}

}  // namespace

PackedPairs pack_pairs(std::span<const PairExample> examples, PackingMode mode) {
    PackedPairs packed;
    Packer packer(packed, mode);
    for (const PairExample& example : examples)
        packer.add(example);
    return packed;
}

at::Tensor sequence_log_probabilities(const lm::CausalLm& model, const PackedPairs& packed,
                                      const lm::PassOptions& options) {
    const at::Device device = model.device();
    const at::Tensor hidden = hidden_states(model, packed, options);
    const at::Tensor token_logps = model.target_log_probabilities(
        hidden.index_select(0, to_tensor(packed.rows, device)), to_tensor(packed.targets, device));
    const auto count = static_cast<std::int64_t>(packed.ends.size());
    // Hundreds of terms: float64 keeps their sum exact enough for margins of 1e-4 nat.
    const at::Tensor sums =
        at::zeros({count}, at::TensorOptions(at::kDouble).device(device))
            .index_add(0, to_tensor(packed.sequences, device), token_logps.to(at::kDouble));
    return by_pair(packed, sums);
}

at::Tensor sequence_scores(const lm::CausalLm& model, const PackedPairs& packed,
                           const lm::PassOptions& options) {
    const at::Tensor hidden = hidden_states(model, packed, options);
    const at::Tensor ends = to_tensor(packed.ends, model.device());
    return by_pair(packed, model.reward_scores(hidden.index_select(0, ends)).to(at::kDouble));
}

at::Tensor pair_values(const lm::CausalLm& model, const PackedPairs& packed,
                       const lm::PassOptions& options) {
    return model.is_reward_model() ? sequence_scores(model, packed, options)
                                   : sequence_log_probabilities(model, packed, options);
}

}  // namespace popalign::preference
