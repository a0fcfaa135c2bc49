#include <popalign/base/error.hpp>
#include <popalign/synthesis/generation_plan.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace popalign {
namespace {

std::vector<StrategyOptions> all_six(const std::string& variant) {
    std::vector<StrategyOptions> strategies;
    for (const char* name : {"prefix", "demonstration", "elicitive", "refine"})
        strategies.push_back({name, variant, "teacher", "", "", ""});
    strategies.push_back({"nparam", variant, "", "teacher", "student", ""});
    strategies.push_back({"leaderboard", variant, "", "teacher", "rival", ""});
    return strategies;
}

TEST(GenerationPlan, SixStrategiesNeedTenGenerationsNotTwelve) {
    for (const char* variant : {"alignment", "leaderboard"}) {
        const auto shared = make_generation_plan(all_six(variant), Sharing::equal_once);
        EXPECT_EQ(shared.generations.size(), 10U) << variant;
        EXPECT_EQ(shared.pairs.size(), 6U);
        // Twelve sides and Refine's first turn.
        EXPECT_EQ(make_generation_plan(all_six(variant), Sharing::none).generations.size(), 13U);
    }
}

TEST(GenerationPlan, SharesWhatThePaperShares) {
    const auto plan = make_generation_plan(all_six("alignment"), Sharing::equal_once);
    const auto pair = [&](const std::string& name) {
        const auto at = std::ranges::find(plan.strategies, name, &StrategyRow::name);
        return plan.pairs[static_cast<std::size_t>(at - plan.strategies.begin())];
    };
    EXPECT_EQ(pair("nparam").chosen, pair("prefix").chosen);
    EXPECT_EQ(pair("refine").rejected, pair("leaderboard").chosen);
    EXPECT_EQ(plan.generations[pair("refine").chosen].previous, pair("leaderboard").chosen);
    EXPECT_NE(pair("nparam").rejected, pair("prefix").rejected) << "another model";

    const auto leaderboard = make_generation_plan(all_six("leaderboard"), Sharing::equal_once);
    EXPECT_EQ(leaderboard.pairs[4].chosen, leaderboard.pairs[5].chosen);
}

TEST(GenerationPlan, EarlierTurnsComeFirst) {
    const auto plan = make_generation_plan(all_six("leaderboard"), Sharing::none);
    for (std::size_t i = 0; i < plan.generations.size(); ++i)
        if (plan.generations[i].previous) {
            EXPECT_LT(*plan.generations[i].previous, i);
        }
}

TEST(GenerationPlan, DrawsDependOnContentNotOnTheRestOfThePlan) {
    const auto whole = make_generation_plan(all_six("alignment"), Sharing::equal_once);
    const auto alone =
        make_generation_plan({{"refine", "alignment", "teacher", "", "", ""}}, Sharing::equal_once);
    std::set<std::string> purposes;
    for (const auto& generation : whole.generations)
        EXPECT_TRUE(purposes.insert(generation.purpose).second) << "two with the same draws";
    for (const auto& generation : alone.generations)
        EXPECT_TRUE(purposes.contains(generation.purpose));
}

TEST(GenerationPlan, RefusesWhatIsIncomplete) {
    EXPECT_THROW(make_generation_plan({}, Sharing::none), UsageError);
    EXPECT_THROW(
        make_generation_plan({{"nparam", "alignment", "teacher", "", "", ""}}, Sharing::none),
        UsageError);
}

}  // namespace
}  // namespace popalign
