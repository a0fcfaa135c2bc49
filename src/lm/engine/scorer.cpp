#include "lm/transformer/prefix_forest.hpp"

#include <popalign/base/error.hpp>
#include <popalign/lm/checkpoint/language_model.hpp>
#include <popalign/lm/engine/scorer.hpp>
#include <popalign/lm/transformer/attention.hpp>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace popalign::lm {
namespace {

using Spans = std::vector<std::span<const TokenId>>;

at::Tensor to_tensor(const std::vector<std::int64_t>& values) {
    return at::tensor(at::ArrayRef<std::int64_t>(values));
}

/// Runs groups of sequences through the model and gives each group's forest and hidden states.
void for_each_group(
    const CausalLm& model, const Spans& sequences, std::int64_t token_budget,
    const std::function<void(const std::vector<std::size_t>& members, const PrefixForest& packed,
                             const at::Tensor& hidden)>& use) {
    const c10::AutoGradMode no_gradients(false);
    const auto order = prefix_order(sequences);
    for (const auto& members : group_by_budget(sequences, order, token_budget, sequences.size())) {
        Spans group;
        for (std::size_t member : members)
            group.push_back(sequences[member]);
        const PrefixForest packed = share_prefixes(group);
        ForestAttention attention(packed.forest);
        use(members, packed, model.hidden_states(to_tensor(packed.forest.tokens), attention));
    }
}

/// The rows of the members' last tokens.
std::vector<std::int64_t> ends_of(const std::vector<std::size_t>& members,
                                  std::span<const std::vector<TokenId>> sequences,
                                  const PrefixForest& packed) {
    std::vector<std::int64_t> rows;
    for (std::size_t i = 0; i < members.size(); ++i)
        rows.push_back(packed.row(i, static_cast<std::int64_t>(sequences[members[i]].size()) - 1));
    return rows;
}

}  // namespace

void score(const CausalLm& model, std::span<const ScoreRequest> requests, std::int64_t token_budget,
           const std::function<void(std::size_t, std::vector<float>)>& done) {
    std::vector<std::vector<TokenId>> whole;
    for (const auto& request : requests) {
        if (request.prompt.empty())
            throw UsageError("nothing can be scored without a prompt; give at least one token");
        whole.push_back(request.prompt);
        whole.back().insert(whole.back().end(), request.completion.begin(),
                            request.completion.end());
    }
    for_each_group(
        model, Spans(whole.begin(), whole.end()), token_budget,
        [&](const std::vector<std::size_t>& members, const PrefixForest& packed,
            const at::Tensor& hidden) {
            std::vector<std::int64_t> rows, targets;
            for (std::size_t i = 0; i < members.size(); ++i) {
                const auto& sequence = whole[members[i]];
                for (std::size_t position = requests[members[i]].prompt.size();
                     position < sequence.size(); ++position) {
                    rows.push_back(packed.row(i, static_cast<std::int64_t>(position) - 1));
                    targets.push_back(sequence[position]);
                }
            }
            const at::Tensor values =
                model
                    .target_log_probabilities(
                        hidden.index_select(0, to_tensor(rows).to(hidden.device())),
                        to_tensor(targets))
                    .to(at::kCPU, at::kFloat)
                    .contiguous();
            const float* next = values.data_ptr<float>();
            for (std::size_t member : members) {
                const std::size_t count = requests[member].completion.size();
                done(member, std::vector<float>(next, next + count));
                next += count;
            }
        });
}

void score_next_token(const CausalLm& model, std::span<const std::vector<TokenId>> prompts,
                      std::span<const TokenId> candidates, std::int64_t token_budget,
                      const std::function<void(std::size_t, std::vector<float>)>& done) {
    const std::vector<std::int64_t> columns(candidates.begin(), candidates.end());
    for_each_group(
        model, Spans(prompts.begin(), prompts.end()), token_budget,
        [&](const std::vector<std::size_t>& members, const PrefixForest& packed,
            const at::Tensor& hidden) {
            const at::Tensor ends = to_tensor(ends_of(members, prompts, packed));
            const at::Tensor logits =
                model.logits(hidden.index_select(0, ends.to(hidden.device()))).to(at::kFloat);
            const at::Tensor values = logits.log_softmax(1)
                                          .index_select(1, to_tensor(columns).to(hidden.device()))
                                          .to(at::kCPU)
                                          .contiguous();
            for (std::size_t i = 0; i < members.size(); ++i) {
                const float* row = values.data_ptr<float>() + i * candidates.size();
                done(members[i], std::vector<float>(row, row + candidates.size()));
            }
        });
}

void score_endings(const CausalLm& model, std::span<const std::vector<TokenId>> sequences,
                   std::int64_t token_budget,
                   const std::function<void(std::size_t, double)>& done) {
    for_each_group(model, Spans(sequences.begin(), sequences.end()), token_budget,
                   [&](const std::vector<std::size_t>& members, const PrefixForest& packed,
                       const at::Tensor& hidden) {
                       const at::Tensor ends = to_tensor(ends_of(members, sequences, packed));
                       const at::Tensor scores =
                           model.reward_scores(hidden.index_select(0, ends.to(hidden.device())))
                               .to(at::kCPU, at::kDouble)
                               .contiguous();
                       for (std::size_t i = 0; i < members.size(); ++i)
                           done(members[i], scores.data_ptr<double>()[i]);
                   });
}

}  // namespace popalign::lm
