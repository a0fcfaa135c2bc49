#include "preference/objective/objective.hpp"

#include <popalign/base/error.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace popalign::preference {
namespace {

/// Margins of both signs, answers better and worse than the reference finds them.
const std::vector<PairScore> scores{{0, 0, -10, -12, -11, -11.5, 7, 9},
                                    {10, 0, -3, -1, -2, -4, 3, 2},
                                    {20, 1, -25, -30, -24.5, -31, 20, 17},
                                    {30, 1, -8, -8.5, -9.25, -8.2, 5, 6}};

ObjectiveOptions options_for(const std::string& name) {
    ObjectiveOptions options{.objective = name, .beta = 0.3, .label_smoothing = 0.1};
    options.desirable_weight = 1.5;
    options.reward_margin = 0.2;
    options.reward_centering = 0.01;
    return options;
}

BatchContext context_of(std::span<const PairScore> pairs) {
    return {.tokens_per_pair = 8.75, .divergence = 0.4, .matches = match_by_rank(pairs)};
}

double sum_of(const Objective& objective, std::span<const PairScore> pairs) {
    double sum = 0;
    const BatchContext context = context_of(pairs);
    for (const PairScore& pair : pairs)
        sum += objective(pair, context).loss;
    return sum;
}

/// Slopes against central differences of the sum over the batch, which also moves the matches.
void expect_slopes(const ObjectiveOptions& options) {
    const Objective objective(options);
    constexpr double step = 1e-6;
    const BatchContext context = context_of(scores);
    for (std::size_t i = 0; i < scores.size(); ++i) {
        const PairLoss found = objective(scores[i], context);
        for (const bool chosen : {true, false}) {
            auto above = scores, below = scores;
            (chosen ? above[i].policy_chosen : above[i].policy_rejected) += step;
            (chosen ? below[i].policy_chosen : below[i].policy_rejected) -= step;
            const double expected =
                (sum_of(objective, above) - sum_of(objective, below)) / (2 * step);
            EXPECT_NEAR(chosen ? found.chosen_slope : found.rejected_slope, expected,
                        1e-7 * std::max(1.0, std::abs(expected)))
                << options.objective << " with " << options.f_divergence << ", pair " << i;
        }
    }
}

TEST(ObjectiveTest, SlopesEqualFiniteDifferences) {
    for (const std::string& name : objective_names())
        expect_slopes(options_for(name));
}

TEST(ObjectiveTest, SlopesEqualFiniteDifferencesForEveryDivergence) {
    for (const char* divergence : {"forward_kl", "js_divergence", "alpha_divergence"})
        for (const char* name : {"dpo", "cdpo", "robust", "hinge", "ipo", "ipo_sum", "dpo_norm",
                                 "exo_pair", "discopop"}) {
            ObjectiveOptions options = options_for(name);
            options.f_divergence = divergence;
            expect_slopes(options);
        }
}

double loss_at(const ObjectiveOptions& options, std::size_t pair) {
    return Objective(options)(scores[pair], context_of(scores)).loss;
}

double minus_log_sigmoid(double x) {
    return std::log1p(std::exp(-x));
}

TEST(ObjectiveTest, ValuesEqualTheFormulas) {
    // Pair 0 has log ratios 1 and -0.5, pair 1 has -1 and 3.
    EXPECT_NEAR(loss_at(options_for("dpo"), 0), minus_log_sigmoid(0.3 * 1.5), 1e-14);
    EXPECT_NEAR(loss_at(options_for("dpo"), 1), minus_log_sigmoid(0.3 * -4), 1e-14);
    EXPECT_NEAR(loss_at(options_for("cdpo"), 0),
                0.9 * minus_log_sigmoid(0.45) + 0.1 * minus_log_sigmoid(-0.45), 1e-14);
    EXPECT_NEAR(loss_at(options_for("robust"), 0),
                (0.9 * minus_log_sigmoid(0.45) - 0.1 * minus_log_sigmoid(-0.45)) / 0.8, 1e-14);
    EXPECT_NEAR(loss_at(options_for("hinge"), 1), 1 + 1.2, 1e-14);
    EXPECT_NEAR(loss_at(options_for("ipo"), 0), std::pow(1.0 / 7 + 0.5 / 9 - 1 / 0.6, 2), 1e-14);
    EXPECT_NEAR(loss_at(options_for("ipo_sum"), 0), std::pow(1.5 - 1 / 0.6, 2), 1e-14);
    EXPECT_NEAR(loss_at(options_for("sft"), 0), 10 / 8.75, 1e-14);
    EXPECT_NEAR(loss_at(options_for("kto"), 0),
                0.5 * (1.5 / (1 + std::exp(0.3 * 0.6)) + 1 / (1 + std::exp(0.3 * 0.9))), 1e-14);
    EXPECT_NEAR(loss_at(options_for("reward"), 0), minus_log_sigmoid(2 - 0.2) + 0.01 * 22 * 22,
                1e-14);
}

TEST(ObjectiveTest, AMixIsTheWeightedSum) {
    ObjectiveOptions mix = options_for("dpo");
    mix.objective_weights = {{"dpo", 0.8}, {"bco_pair", 0.2}, {"sft", 1.0}};
    EXPECT_NEAR(loss_at(mix, 2),
                0.8 * loss_at(options_for("dpo"), 2) + 0.2 * loss_at(options_for("bco_pair"), 2) +
                    loss_at(options_for("sft"), 2),
                1e-13);
    expect_slopes(mix);
    EXPECT_TRUE(Objective(mix).uses_reference());
    EXPECT_TRUE(Objective(mix).uses_rejected());
    EXPECT_NEAR(Objective(mix)(scores[0], {}).chosen_reward, 0.3, 1e-14);
}

TEST(ObjectiveTest, KnowsWhatItNeeds) {
    EXPECT_FALSE(Objective(options_for("simpo")).uses_reference());
    EXPECT_FALSE(Objective(options_for("sft")).uses_rejected());
    EXPECT_TRUE(Objective(options_for("aot")).uses_matches());
    EXPECT_TRUE(Objective(options_for("kto")).uses_divergence());
    EXPECT_TRUE(Objective(options_for("reward")).uses_scores());
    EXPECT_FALSE(Objective(options_for("dpo")).can_vanish());
}

TEST(ObjectiveTest, IsLn2WithoutMarginAndStaysFinite) {
    const Objective dpo({.beta = 0.1});
    EXPECT_DOUBLE_EQ(dpo({}, {}).loss, std::numbers::ln2);
    EXPECT_NEAR(dpo({.policy_chosen = -1e5}, {}).loss, 1e4, 1e-6);
    EXPECT_EQ(dpo({.policy_rejected = -1e5}, {}).loss, 0);
}

TEST(ObjectiveTest, MatchesSortBothSides) {
    const auto matches = match_by_rank(scores);
    // Policy margins 2, -2, 5, 0.5; of the reference 0.5, 2, 6.5, -1.05.
    EXPECT_DOUBLE_EQ(matches.at(10).reference, -1.05);
    EXPECT_DOUBLE_EQ(matches.at(30).reference, 0.5);
    EXPECT_DOUBLE_EQ(matches.at(0).reference, 2);
    EXPECT_DOUBLE_EQ(matches.at(20).reference, 6.5);
    // Log ratios of the chosen 1, -1, -0.5, 1.25, of the rejected -0.5, 3, 1, -0.3.
    EXPECT_DOUBLE_EQ(matches.at(30).rejected, 3);
    EXPECT_DOUBLE_EQ(matches.at(10).chosen, 1.25);
}

std::string complaint(const ObjectiveOptions& options) {
    try {
        Objective made(options);
    } catch (const UsageError& error) {
        return error.what();
    }
    return "none";
}

TEST(ObjectiveTest, WrongOptionsAreRefusedByTheirKey) {
    EXPECT_NE(complaint({.objective = "dopo"}).find("use one of: dpo, cdpo"), std::string::npos);
    EXPECT_NE(complaint({.objective_weights = {{"dopo", 1}}}).find("train.objective_weights: "),
              std::string::npos);
    EXPECT_NE(complaint({.objective_weights = {{"dpo", -1}}}).find("objective_weights.dpo"),
              std::string::npos);
    EXPECT_NE(complaint({.objective_weights = {{"dpo", 1}, {"reward", 1}}}).find("reward alone"),
              std::string::npos);
    EXPECT_NE(complaint({.beta = 0}).find("train.beta"), std::string::npos);
    EXPECT_NE(complaint({.label_smoothing = 0.5}).find("train.label_smoothing"), std::string::npos);
    EXPECT_NE(complaint({.objective = "exo_pair"}).find("train.label_smoothing"),
              std::string::npos);
    EXPECT_NE(complaint({.objective = "kto", .f_divergence = "forward_kl"}).find("f_divergence"),
              std::string::npos);
    EXPECT_EQ(complaint({.objective = "simpo"}), "none");
}

}  // namespace
}  // namespace popalign::preference
