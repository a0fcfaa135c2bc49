#include "support/tiny_model.hpp"

#include <popalign/base/error.hpp>
#include <popalign/lm/engine/scorer.hpp>
#include <popalign/lm/transformer/attention.hpp>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace popalign::lm {
namespace {

using test::make_tiny_model;
using test::random_tokens;

TEST(Scorer, EqualsTheSoftmaxOfEachSequenceAloneForAnyBudget) {
    const TrainableLm model = make_tiny_model("qwen2", 4, at::kDouble);
    std::vector<ScoreRequest> requests;
    for (std::size_t i = 0; i < 8; ++i)
        requests.push_back({random_tokens(5, i / 3), random_tokens(i, 50 + i)});
    for (std::int64_t budget : {1, 17, 1000}) {
        std::size_t scored = 0;
        score(model, requests, budget, [&](std::size_t i, const std::vector<float>& logprobs) {
            ++scored;
            const auto& [prompt, completion] = requests[i];
            ASSERT_EQ(logprobs.size(), completion.size());
            SegmentForest forest;
            auto whole = prompt;
            whole.insert(whole.end(), completion.begin(), completion.end());
            forest.add(whole);
            ForestAttention attention(forest);
            const at::Tensor expected =
                model
                    .logits(model.hidden_states(
                        at::tensor(at::ArrayRef<std::int64_t>(forest.tokens)), attention))
                    .log_softmax(1);
            for (std::size_t k = 0; k < completion.size(); ++k)
                EXPECT_NEAR(
                    logprobs[k],
                    expected[static_cast<std::int64_t>(prompt.size() + k) - 1][completion[k]]
                        .item<double>(),
                    1e-5);
        });
        EXPECT_EQ(scored, requests.size());
    }
}

TEST(Scorer, NextTokensAreWhatScoringThemGives) {
    const TrainableLm model = make_tiny_model("llama", 5);
    const std::vector<std::vector<TokenId>> prompts{random_tokens(4, 1), random_tokens(9, 2)};
    const std::vector<TokenId> candidates{7, 42};
    score_next_token(model, prompts, candidates, 100,
                     [&](std::size_t i, const std::vector<float>& logprobs) {
                         for (std::size_t c = 0; c < candidates.size(); ++c) {
                             const ScoreRequest request{prompts[i], {candidates[c]}};
                             score(model, std::span(&request, 1), 100,
                                   [&](std::size_t, const std::vector<float>& alone) {
                                       EXPECT_NEAR(alone[0], logprobs[c], 1e-5);
                                   });
                         }
                     });
}

TEST(Scorer, WeightsForInferenceGiveTheSame) {
    for (const char* architecture : test::architectures) {
        const TrainableLm model = make_tiny_model(architecture, 7);
        std::vector<ScoreRequest> requests;
        for (std::size_t i = 0; i < 6; ++i)
            requests.push_back({random_tokens(3 + i, i), random_tokens(8, 60 + i)});
        std::vector<std::vector<float>> plain(requests.size());
        score(model, requests, 1000,
              [&](std::size_t i, std::vector<float> logprobs) { plain[i] = std::move(logprobs); });
        score(model.for_inference(), requests, 1000,
              [&](std::size_t i, const std::vector<float>& logprobs) {
                  for (std::size_t k = 0; k < logprobs.size(); ++k)
                      EXPECT_NEAR(logprobs[k], plain[i][k], 1e-5);
              });
    }
}

TEST(Scorer, EndingsHaveTheScoreOfTheirLastTokenForAnyBudget) {
    TrainableLm model = make_tiny_model("llama", 6, at::kDouble, at::kCPU, test::tiny_vocabulary,
                                        OutputHead::score);
    model.parameter("score.weight").fill_(1).cumsum_(1);
    std::vector<std::vector<TokenId>> sequences;
    for (std::size_t i = 0; i < 6; ++i) {
        sequences.push_back(random_tokens(5, i / 3));
        const auto rest = random_tokens(i, 20 + i);
        sequences.back().insert(sequences.back().end(), rest.begin(), rest.end());
    }
    for (std::int64_t budget : {1, 17, 1000}) {
        std::size_t scored = 0;
        score_endings(model, sequences, budget, [&](std::size_t i, double value) {
            ++scored;
            SegmentForest forest;
            forest.add(sequences[i]);
            ForestAttention attention(forest);
            const at::Tensor last = model.hidden_states(
                at::tensor(at::ArrayRef<std::int64_t>(forest.tokens)), attention)[-1];
            const double expected =
                (last * model.parameter("score.weight")[0]).sum().item<double>();
            EXPECT_NEAR(value, expected, 1e-9 * std::abs(expected)) << i << " within " << budget;
        });
        EXPECT_EQ(scored, sequences.size());
    }
}

TEST(Scorer, NeedsAPrompt) {
    const TrainableLm model = make_tiny_model("llama", 6);
    const ScoreRequest request{{}, {1}};
    EXPECT_THROW(score(model, std::span(&request, 1), 10, [](std::size_t, auto) {}), UsageError);
}

}  // namespace
}  // namespace popalign::lm
