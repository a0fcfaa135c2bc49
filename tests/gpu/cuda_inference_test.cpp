#include "gpu/gpu.hpp"
#include "support/tiny_model.hpp"

#include <popalign/lm/engine/generator.hpp>
#include <popalign/lm/engine/scorer.hpp>
#include <popalign/lm/transformer/attention.hpp>
#include <popalign/lm/transformer/segment_forest.hpp>
#include <popalign/lm/transformer/trainable_lm.hpp>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace popalign {
namespace {

using test::distance;
using test::make_tiny_model;
using test::random_tokens;

lm::SegmentForest pairs_and_another() {
    lm::SegmentForest forest;
    const std::size_t root = forest.add(random_tokens(17, 1));
    forest.add(random_tokens(5, 2), root);
    forest.add(random_tokens(4, 4));
    const std::size_t longer = forest.add(random_tokens(3, 3), root);
    forest.add(random_tokens(9, 5), longer);
    return forest;
}

at::Tensor logits(const lm::TrainableLm& model) {
    const lm::SegmentForest forest = pairs_and_another();
    lm::ForestAttention attention(forest);
    return model.logits(
        model.hidden_states(at::tensor(at::ArrayRef<std::int64_t>(forest.tokens)), attention));
}

/// By all parameters, of a fixed sum of the logits; float64 on the CPU.
at::Tensor gradient(lm::TrainableLm& model) {
    for (auto& parameter : model.parameters())
        parameter.tensor.requires_grad_(true);
    const at::Tensor result = logits(model);
    const at::Tensor factors =
        at::arange(result.numel(), at::kDouble).sin().reshape(result.sizes()).to(result.device());
    (result.to(at::kDouble) * factors).sum().backward();
    std::vector<at::Tensor> flat;
    for (auto& parameter : model.parameters())
        flat.push_back(parameter.tensor.grad().reshape(-1).to(at::kCPU, at::kDouble));
    return at::cat(flat);
}

TEST(CudaInferenceTest, ForestsAndTheirGradientsEqualTheCpus) {
    POPALIGN_REQUIRE_GPUS();
    for (const char* architecture : test::architectures) {
        lm::TrainableLm host = make_tiny_model(architecture, 3, at::kDouble);
        const at::Tensor expected = logits(host), slopes = gradient(host);
        for (const auto& [type, limit] :
             {std::pair{at::kDouble, 1e-10}, {at::kFloat, 1e-4}, {at::kBFloat16, 0.15}}) {
            lm::TrainableLm device = make_tiny_model(architecture, 3, type, test::gpu());
            EXPECT_LT(distance(logits(device).to(at::kCPU, at::kDouble), expected), limit)
                << architecture << " " << at::toString(type);
            EXPECT_LT(distance(gradient(device), slopes), limit)
                << architecture << " " << at::toString(type);
        }
    }
}

std::vector<lm::GeneratedTokens> answers(const lm::CausalLm& model, lm::GeneratorOptions options) {
    std::vector<lm::GenerationRequest> requests;
    for (std::size_t i = 0; i < 23; ++i) {
        auto prompt = random_tokens(6, 1);
        const auto rest = random_tokens(1 + i * 7 % 23, 100 + i);
        prompt.insert(prompt.end(), rest.begin(), rest.end());
        requests.push_back({prompt, 4 + static_cast<std::int64_t>(i * 5 % 17),
                            RandomStream(3, std::to_string(i), "test")});
    }
    std::vector<lm::GeneratedTokens> results(requests.size());
    lm::Generator(model, {5}, options)
        .generate(requests, [&](std::size_t i, lm::GeneratedTokens result) {
            results[i] = std::move(result);
        });
    return results;
}

TEST(CudaInferenceTest, AnswersEqualTheCpus) {
    POPALIGN_REQUIRE_GPUS();
    const c10::NoGradGuard no_gradients;
    for (const char* architecture : test::architectures) {
        const auto expected =
            answers(make_tiny_model(architecture, 5).for_inference(), {{}, 5, false});
        const lm::CausalLm device =
            make_tiny_model(architecture, 5, at::kFloat, test::gpu()).for_inference();
        for (const std::int64_t prefill : {4096, 7}) {
            lm::GeneratorOptions options{{}, 5, false};
            options.prefill_tokens = prefill;
            const auto found = answers(device, options);
            for (std::size_t i = 0; i < found.size(); ++i) {
                EXPECT_EQ(found[i].tokens, expected[i].tokens) << architecture << " " << i;
                EXPECT_NEAR(found[i].logprob, expected[i].logprob, 1e-3);
            }
        }
    }
}

TEST(CudaInferenceTest, ScoresEqualTheCpus) {
    POPALIGN_REQUIRE_GPUS();
    const c10::NoGradGuard no_gradients;
    std::vector<lm::ScoreRequest> requests;
    for (std::size_t i = 0; i < 9; ++i)
        requests.push_back({random_tokens(5, i / 3), random_tokens(1 + i, 50 + i)});
    for (const char* architecture : test::architectures) {
        const lm::CausalLm host = make_tiny_model(architecture, 4).for_inference();
        const lm::CausalLm device =
            make_tiny_model(architecture, 4, at::kFloat, test::gpu()).for_inference();
        std::vector<std::vector<float>> expected(requests.size());
        lm::score(host, requests, 100, [&](std::size_t i, std::vector<float> values) {
            expected[i] = std::move(values);
        });
        std::size_t scored = 0;
        lm::score(device, requests, 100, [&](std::size_t i, const std::vector<float>& values) {
            ++scored;
            ASSERT_EQ(values.size(), expected[i].size());
            for (std::size_t k = 0; k < values.size(); ++k)
                EXPECT_NEAR(values[k], expected[i][k], 1e-4);
        });
        EXPECT_EQ(scored, requests.size());
    }
}

}  // namespace
}  // namespace popalign
