#include "preference/ppo/rollout.hpp"

#include "preference/data/batch_plan.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/range.hpp>
#include <popalign/lm/checkpoint/language_model.hpp>
#include <popalign/lm/transformer/attention.hpp>
#include <popalign/record/token.hpp>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <map>
#include <memory>
#include <utility>

namespace popalign::preference {
namespace {

constexpr std::int64_t entropy_rows = 256;  // whose logits exist at once

at::Tensor indices(const std::vector<std::int64_t>& values, at::Device device) {
    return at::tensor(values, at::kLong).to(device);
}

/// Hidden states that predict the completion tokens.
at::Tensor predicting_states(const lm::CausalLm& model, const PackedRollouts& packed,
                             const lm::PassOptions& options) {
    const at::Tensor hidden =
        model.hidden_states(indices(packed.forest.tokens, model.device()),
                            std::make_shared<lm::ForestAttention>(packed.forest), options);
    return hidden.index_select(0, indices(packed.rows, model.device()));
}

at::Tensor entropies_of(const lm::CausalLm& model, const at::Tensor& hidden) {
    const c10::NoGradGuard no_gradients;
    const auto type = model.dtype() == at::kDouble ? at::kDouble : at::kFloat;
    std::vector<at::Tensor> parts;
    for (const at::Tensor& rows : hidden.detach().split(entropy_rows)) {
        const at::Tensor logps = at::log_softmax(model.logits(rows).to(type), 1);
        parts.push_back(-(logps.exp() * logps).sum(1));
    }
    return at::cat(parts);
}

}  // namespace

PairLengths lengths_of(const Rollout& rollout) noexcept {
    return {static_cast<std::uint32_t>(rollout.prompt.size()),
            static_cast<std::uint32_t>(rollout.completion.size()), 0};
}

PairHashes hashes_of(const Rollout& rollout) noexcept {
    // No completion is shared, equal or not: each has advantages of its own.
    return {token_hash(rollout.prompt), 2 * rollout.episode, 2 * rollout.episode + 1};
}

PackedRollouts pack_rollouts(std::span<const Rollout> rollouts) {
    PackedRollouts packed;
    std::map<std::vector<TokenId>, std::size_t> prompts;
    for (const Rollout& rollout : rollouts) {
        if (rollout.prompt.empty() || rollout.completion.empty())
            throw Error("a rollout without prompt or completion tokens cannot be trained on");
        const auto [known, is_new] = prompts.try_emplace(rollout.prompt);
        if (is_new)
            known->second = packed.forest.add(rollout.prompt);
        const std::size_t segment = packed.forest.add(rollout.completion, known->second);
        std::int64_t predictor = packed.forest.segments[known->second].end - 1;
        std::int64_t row = packed.forest.segments[segment].begin;
        for (const TokenId token : rollout.completion) {
            packed.rows.push_back(std::exchange(predictor, row++));
            packed.targets.push_back(token);
        }
    }
    return packed;
}

at::Tensor token_log_probabilities(const lm::CausalLm& policy, const PackedRollouts& packed) {
    return policy.target_log_probabilities(predicting_states(policy, packed, {}),
                                           indices(packed.targets, policy.device()));
}

TokenPredictions predict_tokens(const lm::CausalLm& policy, const PackedRollouts& packed,
                                const lm::PassOptions& options) {
    const at::Tensor hidden = predicting_states(policy, packed, options);
    return {policy.target_log_probabilities(hidden, indices(packed.targets, policy.device())),
            entropies_of(policy, hidden)};
}

at::Tensor token_values(const lm::CausalLm& critic, const PackedRollouts& packed,
                        const lm::PassOptions& options) {
    return critic.reward_scores(predicting_states(critic, packed, options));
}

void fill_in(std::span<Rollout> rollouts, std::vector<double> Rollout::*member,
             std::int64_t token_budget,
             const std::function<at::Tensor(const PackedRollouts&)>& values) {
    const c10::NoGradGuard no_gradients;
    for (const Range& range : passes_of(rollouts, token_budget)) {
        const auto part = rollouts.subspan(range.begin, range.size());
        const at::Tensor found = values(pack_rollouts(part)).to(at::kCPU, at::kDouble).contiguous();
        const double* next = found.data_ptr<double>();
        for (Rollout& rollout : part) {
            (rollout.*member).assign(next, next + rollout.completion.size());
            next += rollout.completion.size();
        }
    }
}

std::vector<Range> passes_of(std::span<const Rollout> rollouts, std::int64_t token_budget) {
    std::vector<PairLengths> lengths;
    std::vector<PairHashes> hashes;
    for (const Rollout& rollout : rollouts) {
        lengths.push_back(lengths_of(rollout));
        hashes.push_back(hashes_of(rollout));
    }
    return micro_batches(lengths, hashes, token_budget);
}

}  // namespace popalign::preference
