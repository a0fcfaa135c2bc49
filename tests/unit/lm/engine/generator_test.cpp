#include "support/tiny_model.hpp"

#include <popalign/base/error.hpp>
#include <popalign/lm/engine/generator.hpp>
#include <popalign/lm/engine/occupancy.hpp>
#include <popalign/lm/engine/scorer.hpp>
#include <popalign/lm/transformer/trainable_lm.hpp>
#include <popalign/record/token.hpp>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace popalign::lm {
namespace {

using test::make_tiny_model;
using test::random_tokens;

constexpr TokenId stop = 5;

std::vector<GenerationRequest> make_requests(std::size_t count) {
    std::vector<GenerationRequest> requests;
    for (std::size_t i = 0; i < count; ++i) {
        auto prompt = random_tokens(6, 1);  // all begin alike
        const auto rest = random_tokens(1 + i * 7 % 23, 100 + i);
        prompt.insert(prompt.end(), rest.begin(), rest.end());
        requests.push_back({prompt, 4 + static_cast<std::int64_t>(i * 5 % 17),
                            RandomStream(3, std::to_string(i), "test")});
    }
    return requests;
}

std::vector<GeneratedTokens> generate(const CausalLm& model,
                                      const std::vector<GenerationRequest>& requests,
                                      GeneratorOptions options) {
    std::vector<GeneratedTokens> results(requests.size());
    std::vector<int> given(requests.size(), 0);
    Generator(model, {stop}, options)
        .generate(requests, [&](std::size_t i, GeneratedTokens result) {
            results[i] = std::move(result);
            ++given[i];
        });
    EXPECT_EQ(given, std::vector<int>(requests.size(), 1)) << "each request exactly once";
    return results;
}

TEST(Generator, BatchedEqualsOneAtATime) {
    for (const char* architecture : test::architectures) {
        const TrainableLm model = make_tiny_model(architecture, 5);
        const auto requests = make_requests(23);
        const auto together = generate(model, requests, {{}, 5, false});
        for (std::size_t i = 0; i < requests.size(); ++i)
            EXPECT_EQ(generate(model, {requests[i]}, {{}, 2, false})[0].tokens, together[i].tokens)
                << "request " << i;
    }
}

/// The results where requests come `each` at a time, as there is room.
std::vector<GeneratedTokens> generate_as_they_come(const CausalLm& model,
                                                   const std::vector<GenerationRequest>& requests,
                                                   GeneratorOptions options, std::size_t each) {
    std::vector<GeneratedTokens> results(requests.size());
    std::size_t given = 0, finished = 0, most = 0;
    Generator(model, {stop}, options)
        .generate(
            {},
            [&](std::size_t i, GeneratedTokens result) {
                results.at(i) = std::move(result);
                ++finished;
            },
            {},
            [&](const Occupancy& occupancy) {
                EXPECT_EQ(occupancy.under_way, given - finished);
                EXPECT_LT(occupancy.under_way, occupancy.slots + each);
                most = std::max(most, occupancy.under_way);
                if (occupancy.under_way >= occupancy.slots)
                    return std::vector<GenerationRequest>();
                const auto begin = requests.begin() + static_cast<std::ptrdiff_t>(given);
                given = std::min(given + each, requests.size());
                return std::vector<GenerationRequest>(
                    begin, requests.begin() + static_cast<std::ptrdiff_t>(given));
            });
    EXPECT_EQ(finished, requests.size());
    EXPECT_GT(most, 0U) << "some were to come while others were under way";
    return results;
}

TEST(Generator, RequestsThatComeLaterAreAnsweredAlike) {
    at::set_num_threads(1);
    const CausalLm model = make_tiny_model("llama", 5).for_inference();
    auto requests = make_requests(37);
    requests[20].max_new_tokens = 150;  // needs a larger cache than all before it
    for (const bool deterministic : {false, true})
        for (const std::size_t each : {1, 3, 8}) {
            const GeneratorOptions options{{}, 5, deterministic};
            const auto together = generate(model, requests, options);
            const auto coming = generate_as_they_come(model, requests, options, each);
            for (std::size_t i = 0; i < requests.size(); ++i) {
                EXPECT_EQ(coming[i].tokens, together[i].tokens) << "request " << i;
                if (deterministic) {
                    EXPECT_EQ(coming[i].logprob, together[i].logprob) << "to the last bit";
                }
            }
        }
}

TEST(Generator, LongPromptsInPartsEqualWholeOnes) {
    for (const char* architecture : test::architectures) {
        const CausalLm model = make_tiny_model(architecture, 5).for_inference();
        const auto requests = make_requests(23);
        for (const bool deterministic : {false, true}) {
            GeneratorOptions options{{}, 5, deterministic};
            const auto whole = generate(model, requests, options);
            options.prefill_tokens = 7;
            const auto parts = generate(model, requests, options);
            for (std::size_t i = 0; i < requests.size(); ++i) {
                EXPECT_EQ(parts[i].tokens, whole[i].tokens) << architecture << ", request " << i;
                EXPECT_NEAR(parts[i].logprob, whole[i].logprob, 1e-4);
            }
        }
    }
}

TEST(Generator, AMemoryBudgetChangesTheBatchAndNotTheAnswers) {
    const CausalLm model = make_tiny_model("llama", 5).for_inference();
    const auto requests = make_requests(23);
    const std::uint64_t each = cache_bytes_per_token(model.config(), at::kFloat) *
                               static_cast<std::uint64_t>(cache_extent(60));
    GeneratorOptions options{{}, 16, false};
    const auto free = generate(model, requests, options);
    options.cache_bytes = 3 * each;
    const auto narrow = generate(model, requests, options);
    for (std::size_t i = 0; i < requests.size(); ++i)
        EXPECT_EQ(narrow[i].tokens, free[i].tokens) << "request " << i;
    options.cache_bytes = each - 1;
    EXPECT_THROW(generate(model, requests, options), Error);
    options.cache_bytes = 15 * each;
    options.deterministic = true;  // its shapes may not depend on the machine
    EXPECT_THROW(generate(model, requests, options), Error);
}

TEST(Generator, DeterministicResultsDependOnTheRequestAlone) {
    at::set_num_threads(1);
    const CausalLm model = make_tiny_model("qwen2", 6).for_inference();
    const auto requests = make_requests(19);
    const auto all = generate(model, requests, {{}, 8, true});
    const std::vector<GenerationRequest> some(requests.rbegin(), requests.rbegin() + 7);
    const auto reversed = generate(model, some, {{}, 8, true});
    for (std::size_t i = 0; i < some.size(); ++i) {
        const GeneratedTokens& expected = all[requests.size() - 1 - i];
        EXPECT_EQ(reversed[i].tokens, expected.tokens);
        EXPECT_EQ(reversed[i].logprob, expected.logprob) << "to the last bit";
    }
}

TEST(Generator, LogProbabilitiesAreThoseOfTheScorer) {
    const TrainableLm model = make_tiny_model("llama", 7);
    const auto requests = make_requests(9);
    const auto results = generate(model, requests, {{.temperature = 1.7, .top_k = 20}, 4, false});
    std::vector<ScoreRequest> rows;
    for (std::size_t i = 0; i < requests.size(); ++i) {
        rows.push_back({requests[i].prompt, results[i].tokens});
        if (results[i].finish_reason == FinishReason::stop)
            rows.back().completion.push_back(stop);
    }
    score(model, rows, 64, [&](std::size_t i, const std::vector<float>& logprobs) {
        double sum = 0;
        for (float value : logprobs)
            sum += static_cast<double>(value);
        EXPECT_NEAR(sum, results[i].logprob, 1e-4);
    });
}

TEST(Generator, StopsAtTheStopTokenOrTheLimit) {
    const TrainableLm model = make_tiny_model("llama", 8);
    const auto requests = make_requests(30);
    const auto results = generate(model, requests, {});
    for (std::size_t i = 0; i < requests.size(); ++i) {
        EXPECT_EQ(std::count(results[i].tokens.begin(), results[i].tokens.end(), stop), 0);
        const auto length = static_cast<std::int64_t>(results[i].tokens.size());
        if (results[i].finish_reason == FinishReason::length) {
            EXPECT_EQ(length, requests[i].max_new_tokens);
        } else {
            EXPECT_LT(length, requests[i].max_new_tokens);
        }
    }
}

TEST(Generator, KeepsToTheMinimumLengthAndEndsWhereToldTo) {
    const TrainableLm model = make_tiny_model("llama", 8);
    const auto requests = make_requests(30);
    GeneratorOptions options;
    options.min_new_tokens = 3;
    for (const GeneratedTokens& result : generate(model, requests, options))
        EXPECT_GE(result.tokens.size(), 3U);
    options.ends = [](std::span<const TokenId> tokens) { return tokens.size() == 4; };
    for (const GeneratedTokens& result : generate(model, requests, options)) {
        EXPECT_EQ(result.finish_reason, FinishReason::stop);
        EXPECT_LE(result.tokens.size(), 4U);
    }
}

TEST(Generator, CountsWhatSharedPrefixesSave) {
    const TrainableLm model = make_tiny_model("llama", 8);
    const auto requests = make_requests(10);
    const auto statistics =
        Generator(model, {stop}, {{}, 16, false}).generate(requests, [](auto, const auto&) {});
    std::uint64_t whole = 0;
    for (const auto& request : requests)
        whole += request.prompt.size();
    EXPECT_EQ(statistics.prompt_tokens, whole);
    EXPECT_LE(statistics.computed_tokens, whole - 9 * 6) << "six tokens are the same in all ten";
}

TEST(Generator, GivesUpWhenToldTo) {
    const TrainableLm model = make_tiny_model("llama", 9);
    int done = 0, asked = 0;
    Generator(model, {stop}, {{}, 4, false})
        .generate(
            make_requests(40), [&](std::size_t, const GeneratedTokens&) { ++done; },
            [&] { return ++asked < 6; },
            [&](const Occupancy&) {
                EXPECT_LT(asked, 6) << "nothing more is wanted";
                return std::vector<GenerationRequest>();
            });
    EXPECT_LT(done, 40);
}

TEST(Generator, RefusesWhatTheModelCannotHold) {
    const TrainableLm model = make_tiny_model("llama", 10);
    const RandomStream stream(0, "", "");
    const auto attempt = [&](GenerationRequest request) {
        Generator(model, {stop}, {})
            .generate(std::span(&request, 1), [](std::size_t, const GeneratedTokens&) {});
    };
    EXPECT_THROW(attempt({random_tokens(250, 1), 10, stream}), UsageError);
    EXPECT_THROW(attempt({{}, 10, stream}), UsageError);
}

}  // namespace
}  // namespace popalign::lm
