#include <popalign/base/error.hpp>
#include <popalign/campaign/sweep_plan.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace popalign::campaign {
namespace {

const std::vector<std::string> six{"prefix", "demonstration", "elicitive",
                                   "nparam", "leaderboard",   "refine"};

std::vector<Mix> mixes(const std::vector<std::string>& designs,
                       const std::vector<std::string>& strategies = six) {
    SweepOptions options;
    options.mixes = designs;
    options.lattice_degree = 3;
    return make_mixes(options, strategies);
}

TEST(Mixes, DesignsHaveTheirNumbers) {
    EXPECT_EQ(mixes({"all"}).size(), 1u);
    EXPECT_EQ(mixes({"single"}).size(), 6u);
    EXPECT_EQ(mixes({"cumulative"}).size(), 6u);
    EXPECT_EQ(mixes({"leave_one_out"}).size(), 6u);
    EXPECT_EQ(mixes({"subsets"}).size(), 63u);
    EXPECT_EQ(mixes({"lattice"}).size(), 56u) << "C(6 + 3 - 1, 3)";
}

TEST(Mixes, EqualMixesAreOneAndKnowAllTheirDesigns) {
    const auto list = mixes({"single", "cumulative", "all"});
    EXPECT_EQ(list.size(), 11u) << "prefix alone and all six are in two designs";
    EXPECT_EQ(list.front().designs, (std::vector<std::string>{"single", "cumulative"}));
    const auto all = std::ranges::find(list, "all", &Mix::name);
    ASSERT_NE(all, list.end());
    EXPECT_EQ(all->designs, (std::vector<std::string>{"cumulative", "all"}));
    EXPECT_EQ(all->strategies, six);
}

TEST(Mixes, LatticePointsAreDistinctAndSumToOne) {
    std::set<std::map<std::string, double>> points;
    for (const Mix& mix : mixes({"lattice"})) {
        double sum = 0;
        for (const auto& [name, share] : mix.proportions) {
            sum += share;
            EXPECT_NEAR(std::fmod(share * 3 + 0.5, 1), 0.5, 1e-9) << "steps of a third";
        }
        EXPECT_NEAR(sum, 1, 1e-12);
        EXPECT_EQ(mix.strategies.size(), mix.proportions.size());
        EXPECT_TRUE(points.insert(mix.proportions).second);
    }
}

TEST(Mixes, CumulativeFollowsTheConfigsOrder) {
    const auto list = mixes({"cumulative"});
    for (std::size_t n = 0; n < list.size(); ++n)
        EXPECT_TRUE(std::equal(list[n].strategies.begin(), list[n].strategies.end(), six.begin()));
    EXPECT_EQ(mixes({"refine+prefix"}).front().name, "prefix+refine");
    EXPECT_THROW(mixes({"prefix+best"}), UsageError);
}

class SweepPlanTest : public ::testing::Test {
  protected:
    /// Parts depend on the overrides that concern them, and on nothing else.
    static std::string determinants(SweepPart part, const std::vector<std::string>& overrides) {
        std::string text;
        for (const std::string& text_of : overrides) {
            const bool training = text_of.starts_with("train.") || text_of.starts_with("run.seed");
            if ((part == SweepPart::data) != training)
                text += text_of + "\n";
        }
        return part == SweepPart::base ? "base" : text;
    }
    SweepPlan make() const { return make_sweep_plan(options_, strategies_, determinants); }

    SweepOptions options_;
    std::vector<NamedStrategy> strategies_{{"prefix", "{name: prefix}"},
                                           {"refine", "{name: refine}"}};
};

TEST_F(SweepPlanTest, PairsAndBaseEvaluationsAreShared) {
    options_.mixes = {"single", "all"};
    options_.seeds = {0, 1, 2};
    options_.sizes = {8, 16};
    options_.factors = {{"train.objective", {"dpo", "ipo"}}};
    const SweepPlan plan = make();
    EXPECT_EQ(plan.runs.size(), 3u * 3 * 2 * 2);
    EXPECT_EQ(plan.data.size(), 1u);
    EXPECT_EQ(plan.bases.size(), 1u);
    std::set<std::string> names;
    for (const SweepUnit& run : plan.runs) {
        EXPECT_TRUE(names.insert(run.name).second);
        EXPECT_EQ(run.data, plan.data.front().name);
        EXPECT_EQ(run.base, plan.bases.front().name);
        EXPECT_EQ(&plan.find(run.name), &run);
    }
}

TEST_F(SweepPlanTest, AChangedSweepKeepsTheNamesOfWhatStays) {
    options_.mixes = {"all"};
    options_.seeds = {0, 1};
    const SweepPlan before = make();
    options_.mixes = {"single", "all"};
    options_.seeds = {1, 2};
    const SweepPlan after = make();
    EXPECT_EQ(before.data.front().name, after.data.front().name);
    const auto has = [&](const SweepUnit& run) {
        return std::ranges::find(after.runs, run.name, &SweepUnit::name) != after.runs.end();
    };
    EXPECT_FALSE(has(before.runs[0])) << "seed 0 is gone";
    EXPECT_TRUE(has(before.runs[1])) << "all, seed 1";
}

TEST_F(SweepPlanTest, AFactorOfTheDataMakesItsOwnPairs) {
    options_.factors = {{"synthesis.temperature", {"0.5", "1.0"}}};
    const SweepPlan plan = make();
    EXPECT_EQ(plan.data.size(), 2u);
    EXPECT_EQ(plan.bases.size(), 2u);
    EXPECT_NE(plan.runs[0].data, plan.runs[1].data);
}

TEST_F(SweepPlanTest, TheControlHasFreshDrawsAndTheSameHeldOutPairs) {
    options_.mixes = {"all"};
    options_.controls = {{"prefix", 3}};
    const SweepPlan plan = make();
    ASSERT_EQ(plan.runs.size(), 2u);
    EXPECT_EQ(plan.data.size(), 2u);
    const SweepUnit &run = plan.runs[0], &control = plan.runs[1];
    EXPECT_EQ(control.draws, 3);
    EXPECT_NE(control.data, run.data);
    EXPECT_EQ(control.base, run.base);
    EXPECT_NE(control.reference, run.reference);
    const std::string& list = plan.find(control.data).overrides.front();
    EXPECT_EQ(list, "strategies=\n- {name: prefix}\n- {name: prefix}\n- {name: prefix}\n");
    options_.controls = {{"best", 3}};
    EXPECT_THROW(make(), UsageError);
}

TEST_F(SweepPlanTest, ArraysHoldEveryRunOnceWithinTheLimit) {
    options_.mixes = {"single", "all"};
    options_.seeds = {0, 1, 2, 3};
    options_.controls = {{"prefix", 2}};
    const SweepPlan plan = make();
    const auto jobs = make_sweep_jobs(plan, 5);
    std::set<std::string> before, units;
    for (const SweepJob& job : jobs) {
        EXPECT_LE(job.units.size(), 5u);
        for (const std::string& name : job.after)
            EXPECT_TRUE(before.contains(name)) << job.name << " waits for what comes later";
        before.insert(job.name);
        for (const std::string& unit : job.units)
            EXPECT_TRUE(units.insert(unit).second);
    }
    EXPECT_EQ(units.size(), plan.data.size() + plan.bases.size() + plan.runs.size());
}

TEST_F(SweepPlanTest, WhatTheSweepOwnsIsNoFactor) {
    options_.factors = {{"run.directory", {"a"}}};
    EXPECT_THROW(make(), UsageError);
    options_.factors = {{"train.beta", {}}};
    EXPECT_THROW(make(), UsageError);
    options_ = {};
    options_.sizes = {0};
    EXPECT_THROW(make(), UsageError);
    EXPECT_THROW(SweepPlan().find("run/none"), UsageError);
}

}  // namespace
}  // namespace popalign::campaign
