// Which instructions a strategy is applied to: nested, of the asked-for size, whatever else is
// there.
#include "synthesis/coverage.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

namespace popalign::synthesis {
namespace {

std::vector<Instruction> instructions(std::size_t train, std::size_t held_out) {
    std::vector<Instruction> rows;
    for (std::size_t i = 0; i < train + held_out; ++i)
        rows.push_back(
            {"id-" + std::to_string(i), "", "text", i < train ? Split::train : Split::held_out});
    return rows;
}

struct Chosen {
    std::set<std::size_t> train, held_out;
};

Chosen of_pair(const Coverage& coverage, std::size_t pair, const std::vector<Instruction>& rows) {
    Chosen chosen;
    for (std::size_t i = 0; i < rows.size(); ++i)
        if (coverage.has_pair(i, pair))
            (rows[i].split == Split::train ? chosen.train : chosen.held_out).insert(i);
    return chosen;
}

bool among(const std::set<std::size_t>& few, const std::set<std::size_t>& many) {
    return std::ranges::includes(many, few);
}

GenerationPlan plan_of(const std::vector<std::pair<double, std::int64_t>>& quotas) {
    std::vector<StrategyOptions> strategies;
    for (const auto& [share, quota] : quotas) {
        StrategyOptions options{"prefix", "alignment", "teacher", "", "", ""};
        options.share = share;
        options.quota = quota;
        strategies.push_back(options);
    }
    return make_generation_plan(strategies, Sharing::none);
}

TEST(Coverage, TakesQuotasThatAreNested) {
    const auto rows = instructions(100, 20);
    const Coverage coverage(plan_of({{1, 0}, {0.25, 0}, {1, 10}, {1, 500}, {0.001, 0}}), rows, 7);
    const auto all = of_pair(coverage, 0, rows), quarter = of_pair(coverage, 1, rows),
               ten = of_pair(coverage, 2, rows), too_many = of_pair(coverage, 3, rows),
               least = of_pair(coverage, 4, rows);
    EXPECT_EQ(all.train.size(), 100U);
    EXPECT_EQ(all.held_out.size(), 20U);
    EXPECT_EQ(quarter.train.size(), 25U);
    EXPECT_EQ(quarter.held_out.size(), 5U);
    EXPECT_EQ(ten.train.size(), 10U);
    EXPECT_EQ(ten.held_out.size(), 2U);
    EXPECT_EQ(too_many.train.size(), 100U);
    EXPECT_EQ(least.train.size(), 1U);
    EXPECT_TRUE(among(least.train, ten.train) && among(ten.train, quarter.train));
    EXPECT_TRUE(among(ten.held_out, quarter.held_out));
    EXPECT_NE(*quarter.train.rbegin(), 24U) << "not just the first of the file";
    EXPECT_EQ(coverage.pair_count(1), 30U);
    EXPECT_EQ(coverage.pairs(), 120U + 30 + 12 + 120 + 2);
}

TEST(Coverage, DependsOnIdsAndSeedAlone) {
    auto rows = instructions(60, 0);
    const auto plan = plan_of({{0.5, 0}});
    const auto ids = [&](const std::vector<Instruction>& of, std::uint64_t seed) {
        std::set<std::string> result;
        const Coverage coverage(plan, of, seed);
        for (std::size_t i = 0; i < of.size(); ++i)
            if (coverage.has_pair(i, 0))
                result.insert(of[i].id);
        return result;
    };
    const auto forward = ids(rows, 1);
    EXPECT_NE(ids(rows, 2), forward);
    std::ranges::reverse(rows);
    EXPECT_EQ(ids(rows, 1), forward);
}

TEST(Coverage, GenerationsAreThoseThatAnyPairNeeds) {
    // Refine's rejected answer is also its first turn; of the two, the larger quota decides.
    std::vector<StrategyOptions> strategies{{"refine", "alignment", "t", "", "", ""},
                                            {"leaderboard", "alignment", "", "t", "r", ""}};
    strategies[0].quota = 4;
    strategies[1].quota = 9;
    const auto plan = make_generation_plan(strategies, Sharing::equal_once);
    const auto rows = instructions(30, 0);
    const Coverage coverage(plan, rows, 0);
    EXPECT_EQ(coverage.generation_count(plan.pairs[0].chosen), 4U);
    EXPECT_EQ(coverage.generation_count(plan.pairs[0].rejected), 9U);
    EXPECT_EQ(coverage.generation_count(plan.pairs[1].rejected), 9U);
    EXPECT_EQ(coverage.generations(), 22U);
    for (std::size_t i = 0; i < rows.size(); ++i)
        for (const PlannedPair& pair : plan.pairs) {
            const auto row = static_cast<std::size_t>(&pair - plan.pairs.data());
            if (coverage.has_pair(i, row)) {
                EXPECT_TRUE(coverage.has_generation(i, pair.chosen));
                EXPECT_TRUE(coverage.has_generation(i, pair.rejected));
            }
        }
}

}  // namespace
}  // namespace popalign::synthesis
