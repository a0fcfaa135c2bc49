#include "lm/engine/sampler.hpp"

#include "lm/engine/device_sampler.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/random.hpp>
#include <popalign/lm/engine/sampling_options.hpp>
#include <popalign/record/token.hpp>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

namespace popalign::lm {
namespace {

std::vector<float> logits_of(const std::vector<float>& weights) {
    std::vector<float> logits;
    for (float weight : weights)
        logits.push_back(weight > 0 ? std::log(weight) : -200.0F);
    return logits;
}

/// Draws many tokens and compares their frequencies with `expected` (zero: must never come).
void expect_distribution(const std::vector<float>& weights, const SamplingOptions& options,
                         const std::vector<double>& expected, const DrawContext& context = {}) {
    constexpr int draws = 60000;
    std::vector<int> counts(weights.size(), 0);
    const RandomStream stream(11, "sampler", "test");
    const std::vector<float> logits = logits_of(weights);
    for (int i = 0; i < draws; ++i)
        ++counts[static_cast<std::size_t>(
            draw_token(logits, options, stream.uniform(static_cast<std::uint64_t>(i)), context)
                .token)];
    double chi_squared = 0;
    int degrees = -1;
    for (std::size_t i = 0; i < weights.size(); ++i) {
        if (expected[i] == 0) {
            ASSERT_EQ(counts[i], 0) << "token " << i << " cannot be drawn";
            continue;
        }
        ++degrees;
        chi_squared += std::pow(counts[i] - draws * expected[i], 2) / (draws * expected[i]);
    }
    if (degrees == 0)
        return;
    // The 99.9 % quantile by Wilson and Hilferty's approximation.
    const double k = degrees;
    EXPECT_LT(chi_squared, k * std::pow(1 - 2 / (9 * k) + 3.09 * std::sqrt(2 / (9 * k)), 3));
}

std::vector<double> normalised(std::vector<double> values) {
    const double total = std::accumulate(values.begin(), values.end(), 0.0);
    for (double& value : values)
        value /= total;
    return values;
}

TEST(Sampler, DrawsTheWholeDistribution) {
    std::vector<float> weights(2000, 0.0F);
    std::vector<double> expected(2000, 0.0);
    for (std::size_t i = 3; i < weights.size(); i += 37)
        expected[i] = weights[i] = static_cast<float>(1 + i % 7);
    expect_distribution(weights, {}, normalised(expected));
}

TEST(Sampler, TemperatureIsAPowerOfTheWeights) {
    expect_distribution({1, 4, 9, 16}, {.temperature = 2}, normalised({1, 2, 3, 4}));
    expect_distribution({1, 2, 3, 4}, {.temperature = 0.5}, normalised({1, 4, 9, 16}));
}

TEST(Sampler, TopKKeepsTheHeaviest) {
    expect_distribution({1, 5, 2, 4, 3}, {.top_k = 3}, normalised({0, 5, 0, 4, 3}));
    expect_distribution({2, 2, 2, 2}, {.top_k = 2}, {0.5, 0.5, 0, 0});
    expect_distribution({2, 2, 2, 2}, {.top_k = 9}, {0.25, 0.25, 0.25, 0.25});
}

TEST(Sampler, TopPKeepsTheShortestHeadThatReachesIt) {
    expect_distribution({1, 5, 2, 4}, {.top_p = 0.7}, normalised({0, 5, 0, 4}));
    expect_distribution({1, 5, 2, 4}, {.top_p = 1e-9}, {0, 1, 0, 0});
    // Top-k leaves 9 (5 and a 4), and the 5 alone reaches half.
    expect_distribution({1, 5, 1, 4, 4}, {.top_k = 2, .top_p = 0.5}, {0, 1, 0, 0, 0});
    std::vector<float> flat(1000, 1.0F);  // a head longer than the first guess
    std::vector<double> most(1000, 0.0);
    std::fill(most.begin(), most.begin() + 501, 1.0 / 501);
    expect_distribution(flat, {.top_p = 0.5005}, most);
}

TEST(Sampler, MinPKeepsAShareOfTheLikeliest) {
    expect_distribution({1, 10, 3, 6}, {.min_p = 0.25}, normalised({0, 10, 3, 6}));
    expect_distribution({1, 10, 3, 6}, {.min_p = 1}, {0, 1, 0, 0});
    // 0.5 of the squares: 100 and 64, not 36.
    expect_distribution({1, 10, 8, 6}, {.temperature = 0.5, .min_p = 0.5},
                        normalised({0, 100, 64, 0}));
    expect_distribution({1, 10, 3, 6}, {.top_k = 2, .min_p = 0.25}, normalised({0, 10, 0, 6}));
}

TEST(Sampler, RepetitionPenaltyShrinksWhatWasSeen) {
    // Logits above 0 are divided, those below are multiplied: e^2 -> e^1, e^-1 -> e^-2.
    const auto e = [](double x) { return std::exp(x); };
    const std::vector<float> weights{static_cast<float>(e(2)), static_cast<float>(e(2)),
                                     static_cast<float>(e(-1)), static_cast<float>(e(-1))};
    const std::vector<TokenId> prompt{0, 0}, generated{2};
    expect_distribution(weights, {.repetition_penalty = 2}, normalised({e(1), e(2), e(-2), e(-1)}),
                        {.prompt = prompt, .generated = generated});
}

TEST(Sampler, ForbiddenTokensAreNeverDrawn) {
    const std::vector<TokenId> forbidden{1, 3};
    const DrawContext context{.forbidden = forbidden};
    expect_distribution({1, 50, 2, 9}, {}, normalised({1, 0, 2, 0}), context);
    expect_distribution({1, 50, 2, 9}, {.temperature = 1e-4}, {0, 0, 1, 0}, context);
    expect_distribution({1, 50, 2, 9}, {.temperature = 0}, {0, 0, 1, 0}, context);
}

TEST(Sampler, LogProbabilityIsTheModelsOwnWhateverTheOptions) {
    const std::vector<float> logits = logits_of({1, 5, 2, 4, 8});
    for (const SamplingOptions& options :
         {SamplingOptions{}, SamplingOptions{.temperature = 0}, SamplingOptions{.temperature = 3},
          SamplingOptions{.top_k = 2, .min_p = 0.1, .repetition_penalty = 1.5}}) {
        const std::vector<TokenId> prompt{4, 1};
        const DrawnToken drawn = draw_token(logits, options, 0.7, {.prompt = prompt});
        const std::vector<double> weights{1, 5, 2, 4, 8};
        EXPECT_NEAR(drawn.log_probability,
                    std::log(weights[static_cast<std::size_t>(drawn.token)] / 20), 1e-6);
    }
}

TEST(Sampler, GreedyTakesTheFirstLargestAndTheEndsOfTheUnitIntervalAreSafe) {
    const std::vector<float> logits = logits_of({0, 0.25F, 0.25F, 0.2F, 0});
    EXPECT_EQ(draw_token(logits, {.temperature = 0}, 0.9).token, 1);
    EXPECT_EQ(draw_token(logits, {}, 0.0).token, 1);
    EXPECT_EQ(draw_token(logits, {}, std::nextafter(1.0, 0.0)).token, 3);
}

TEST(Sampler, LogitsThatAreNotNumbersAreAnError) {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        std::vector<float> logits(1000, 1.0F);
        logits[700] = bad;
        EXPECT_THROW(draw_token(logits, {}, 0.5), Error);
    }
}

TEST(SamplingOptions, RefuseNonsense) {
    EXPECT_THROW((SamplingOptions{.temperature = -1}.validate()), UsageError);
    EXPECT_THROW((SamplingOptions{.top_k = -1}.validate()), UsageError);
    EXPECT_THROW((SamplingOptions{.top_p = 0}.validate()), UsageError);
    EXPECT_THROW((SamplingOptions{.min_p = 1.1}.validate()), UsageError);
    EXPECT_THROW((SamplingOptions{.repetition_penalty = 0}.validate()), UsageError);
}

TEST(Sampler, ABatchIsDrawnAsItsRowsAre) {
    constexpr std::int64_t rows = 40, size = 5000;
    const RandomStream stream(7, "batch", "test");
    const std::vector<TokenId> forbidden{17, 4711};
    const at::Tensor logits = at::empty({rows, size});
    std::vector<double> uniforms;
    std::vector<std::int64_t> forbids;
    for (std::int64_t i = 0; i < logits.numel(); ++i)
        logits.data_ptr<float>()[i] =
            static_cast<float>(12 * stream.uniform(static_cast<std::uint64_t>(i)));
    for (std::int64_t row = 0; row < rows; ++row) {
        logits[row][17] = 14 + row % 3;  // often the likeliest
        uniforms.push_back(row == 0 ? 0
                                    : stream.uniform(static_cast<std::uint64_t>(1000000 + row)));
        forbids.push_back(row % 2);
    }
    for (const double temperature : {0.0, 0.5, 1.0}) {
        SamplingOptions options{.temperature = temperature};
        ASSERT_TRUE(draws_in_batches(options));
        const auto drawn = draw_tokens(logits, options, uniforms, forbidden, forbids);
        ASSERT_EQ(drawn.size(), static_cast<std::size_t>(rows));
        for (std::size_t row = 0; row < drawn.size(); ++row) {
            DrawContext context;
            if (forbids[row] == 1)
                context.forbidden = forbidden;
            const DrawnToken alone = draw_token({logits.data_ptr<float>() + row * size, size},
                                                options, uniforms[row], context);
            EXPECT_EQ(drawn[row].token, alone.token) << "row " << row << " at " << temperature;
            EXPECT_NEAR(drawn[row].log_probability, alone.log_probability, 1e-5);
        }
    }
}

TEST(Sampler, ABatchThatIsNotFiniteIsRefused) {
    for (const double temperature : {0.0, 1.0}) {
        const at::Tensor logits = at::zeros({3, 50});
        logits[1][7] = std::numeric_limits<float>::quiet_NaN();
        EXPECT_THROW(
            draw_tokens(logits, {.temperature = temperature}, {0.1, 0.5, 0.9}, {}, {0, 0, 0}),
            Error);
    }
}

TEST(Sampler, OptionsThatLookAtRanksOrAtWhatWasDrawnAreNotForBatches) {
    EXPECT_FALSE(draws_in_batches({.top_k = 5}));
    EXPECT_FALSE(draws_in_batches({.top_p = 0.9}));
    EXPECT_FALSE(draws_in_batches({.min_p = 0.1}));
    EXPECT_FALSE(draws_in_batches({.repetition_penalty = 1.1}));
}

}  // namespace
}  // namespace popalign::lm
