#include "contrast/contrast_accuracy.hpp"

#include <popalign/base/logistic_regression.hpp>
#include <popalign/base/random.hpp>
#include <popalign/record/judgement.hpp>
#include <popalign/store/pairs/pair_rows.hpp>

#include <gtest/gtest.h>

#include <cmath>

namespace popalign::contrast {
namespace {

const std::vector<store::StrategyRow> strategies{{"prefix", "prompt", "alignment"}};
const std::vector<store::JudgeRow> judges{{"judge", "m", "t", "h"}, {"other", "m2", "t", "h"}};

/// Both orders of a pair by a judge whose log-odds favour the better answer and the first place.
void add(std::vector<Verdict>& verdicts, std::uint64_t pair, std::uint32_t judge, double better,
         double place) {
    for (const auto order : {AnswerOrder::chosen_first, AnswerOrder::rejected_first}) {
        const double sign = order == AnswerOrder::chosen_first ? 1 : -1;
        Verdict& verdict =
            verdicts.emplace_back(verdict_of(judgement_of(sign * better + place), order));
        verdict.pair = pair;
        verdict.judge = judge;
    }
}

struct Simulation {
    std::vector<PairFacts> facts;
    std::vector<Verdict> verdicts;
};

/// A judge that is right about a pair with probability `right`, and prefers the first place by
/// `place` log-odds and longer answers by `length`.
Simulation simulate(std::uint64_t seed, std::size_t pairs, double right, double place,
                    double length = 0) {
    const RandomStream stream(seed, "contrast", "simulation");
    Simulation simulation;
    for (std::size_t i = 0; i < pairs; ++i) {
        const double longer = 2 * stream.uniform(3 * i) - 0.6;
        const double p =
            logistic(std::log(right / (1 - right)) + length * std::tanh(longer / 0.577));
        const double better =
            (stream.uniform(3 * i + 1) < p ? 1 : -1) * (0.2 + 2 * stream.uniform(3 * i + 2));
        simulation.facts.push_back({i, 0, 1000 * longer});
        add(simulation.verdicts, i, 0, better, place);
    }
    return simulation;
}

StrategyAccuracy accuracy(const Simulation& simulation, int rounds = 10) {
    return contrast_accuracy(strategies, {judges[0]}, simulation.facts, simulation.verdicts, 0,
                             rounds)
        .judges[0]
        .strategies[0];
}

TEST(ContrastAccuracy, APreferenceForAPlaceLeavesItUnbiased) {
    constexpr int runs = 100;
    for (const double place : {0.0, 1.0, 3.0}) {
        double mean = 0;
        for (std::uint64_t seed = 0; seed < runs; ++seed)
            mean += accuracy(simulate(seed, 200, 0.75, place)).summary.accuracy / runs;
        EXPECT_NEAR(mean, 0.75, 0.01) << place;  // its standard error is 0.003
    }
    const auto biased = accuracy(simulate(0, 200, 0.75, 3.0)).summary;
    EXPECT_LT(biased.position_consistency, 0.05);
    EXPECT_GT(biased.chosen_first_accuracy, 0.95);
}

TEST(ContrastAccuracy, IntervalsHoldTheTruthOfAJudgeThatIsRightThreeTimesInFour) {
    int wilson = 0, bootstrap = 0, equal_length = 0;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        const auto fair = accuracy(simulate(seed, 200, 0.75, 0.5), 200);
        wilson += fair.summary.lower <= 0.75 && 0.75 <= fair.summary.upper ? 1 : 0;
        bootstrap += fair.bootstrap.lower <= 0.75 && 0.75 <= fair.bootstrap.upper ? 1 : 0;
        const auto longer = accuracy(simulate(seed, 200, 0.75, 0.5, 1.5), 200);
        equal_length +=
            longer.equal_length_interval.lower <= 0.75 && 0.75 <= longer.equal_length_interval.upper
                ? 1
                : 0;
    }
    EXPECT_GE(wilson, 95);
    EXPECT_GE(bootstrap, 92);  // percentiles of 200 pairs are a little narrow
    EXPECT_GE(equal_length, 92);
}

TEST(ContrastAccuracy, PairsOfAnInstructionAreDrawnTogether) {
    Simulation simulation;
    for (std::uint64_t i = 0; i < 200; ++i) {
        simulation.facts.push_back({i / 20, 0, 0});  // ten instructions that decide everything
        add(simulation.verdicts, i, 0, (i / 20) % 2 == 0 ? 1 : -1, 0);
    }
    const auto result = accuracy(simulation, 1000);
    EXPECT_GT(result.bootstrap.upper - result.bootstrap.lower,
              2 * (result.summary.upper - result.summary.lower));
}

TEST(ContrastAccuracy, JudgesAreComparedWhereBothAreValid) {
    Simulation simulation;
    for (std::uint64_t i = 0; i < 40; ++i)
        simulation.facts.push_back({i, 0, 10});
    for (std::uint64_t i = 0; i < 40; ++i)
        add(simulation.verdicts, i, 0, i % 2 == 0 ? 1 : -1, 0);
    for (std::uint64_t i = 0; i < 20; ++i)
        add(simulation.verdicts, i, 1, i % 4 < 2 ? 1 : -1, 0);
    simulation.verdicts.back().probability = std::nan("");  // abstained
    const auto result =
        contrast_accuracy(strategies, judges, simulation.facts, simulation.verdicts, 0);
    ASSERT_EQ(result.agreements.size(), 1U);
    EXPECT_EQ(result.agreements[0].agreement.n, 19U);
    EXPECT_NEAR(result.agreements[0].agreement.kappa, 0, 0.1);
    EXPECT_EQ(result.judges[1].all.summary.abstained, 1U);
    EXPECT_EQ(result.judges[1].all.summary.n_valid, 19U);
    EXPECT_EQ(result.judges[0].all.length_difference, 10);
    EXPECT_NEAR(result.judges[0].all.chosen_longer, 1, 1e-12);
    EXPECT_NE(format_contrast_accuracy(result.judges[0]).find("prefix"), std::string::npos);
}

}  // namespace
}  // namespace popalign::contrast
