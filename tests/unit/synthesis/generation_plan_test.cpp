#include <popalign/base/error.hpp>
#include <popalign/store/pairs/pair_rows.hpp>
#include <popalign/synthesis/generation_plan.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace popalign::synthesis {
namespace {

std::vector<StrategyOptions> all_six(const std::string& variant) {
    std::vector<StrategyOptions> strategies;
    for (const char* name : {"prefix", "demonstration", "elicitive", "refine"})
        strategies.push_back({name, variant, "teacher", "", "", ""});
    strategies.push_back({"nparam", variant, "", "teacher", "student", ""});
    strategies.push_back({"leaderboard", variant, "", "teacher", "rival", ""});
    return strategies;
}

StrategyOptions one(const std::string& name, const std::string& variant = "alignment") {
    return {name, variant, "teacher", "", "", ""};
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
        const auto at = std::ranges::find(plan.strategies, name, &store::StrategyRow::name);
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

TEST(GenerationPlan, SeveralDrawsOfAStrategyAreDrawnAfresh) {
    StrategyOptions refine = one("refine");
    refine.draws = 3;
    const auto plan = make_generation_plan({refine}, Sharing::equal_once);
    ASSERT_EQ(plan.pairs.size(), 3U);
    ASSERT_EQ(plan.strategies.size(), 1U);
    EXPECT_EQ(plan.generations.size(), 6U) << "a plain answer and a better one for each draw";
    std::set<std::string> purposes, names;
    for (const auto& generation : plan.generations) {
        EXPECT_TRUE(purposes.insert(generation.purpose).second);
        EXPECT_TRUE(names.insert(generation.name).second) << generation.name;
    }
    for (const PlannedPair& pair : plan.pairs) {
        EXPECT_EQ(pair.strategy, 0U);
        EXPECT_EQ(plan.generations[pair.chosen].previous, pair.rejected) << "its own first turn";
    }
    const auto single = make_generation_plan({one("refine")}, Sharing::equal_once);
    for (std::size_t i = 0; i < single.generations.size(); ++i)
        EXPECT_EQ(plan.generations[i].purpose, single.generations[i].purpose)
            << "the first draw is that of a run with one";
}

TEST(GenerationPlan, AffixesBelongToASide) {
    const auto plan = make_generation_plan({one("prefix", "rlcd_harmless")}, Sharing::equal_once);
    const auto& chosen = plan.generations[plan.pairs[0].chosen];
    const auto& rejected = plan.generations[plan.pairs[0].rejected];
    ASSERT_EQ(chosen.affixes.size(), 16U);
    EXPECT_EQ(chosen.affixes[1].chosen, "law-abiding, ethical response");
    EXPECT_EQ(rejected.affixes[1].chosen, "illegal, unethical response");
    EXPECT_EQ(rejected.affixes[1].rejected, chosen.affixes[1].chosen);
    EXPECT_NE(chosen.purpose, rejected.purpose);
    EXPECT_NE(template_text(chosen).find("law-abiding, ethical response"), std::string::npos);
}

TEST(GenerationPlan, ShotsAreTheFirstDemonstrations) {
    StrategyOptions fewer = one("demonstration");
    fewer.shots = 1;
    const auto plan = make_generation_plan({fewer, one("demonstration")}, Sharing::equal_once);
    EXPECT_EQ(plan.generations.size(), 4U) << "another number of shots is another generation";
    EXPECT_EQ(plan.generations[0].turns[0].user,
              "Question: What are some effective ways to reduce stress?\nAnswer: Regular exercise, "
              "meditation, and proper sleep can significantly help in reducing stress. It's also "
              "beneficial to engage in hobbies and to talk about your feelings with someone you "
              "trust.\n\nQuestion: {instruction}\nAnswer:");
    EXPECT_TRUE(plan.generations[2].turns[0].user.ends_with("Question: {instruction}\nAnswer:"));
    fewer.shots = 4;
    EXPECT_THROW(make_generation_plan({fewer}, Sharing::equal_once), UsageError);
}

TEST(GenerationPlan, RefusesWhatIsIncomplete) {
    EXPECT_THROW(make_generation_plan({}, Sharing::none), UsageError);
    EXPECT_THROW(
        make_generation_plan({{"nparam", "alignment", "teacher", "", "", ""}}, Sharing::none),
        UsageError);
    for (const auto& change : std::vector<void (*)(StrategyOptions&)>{
             [](StrategyOptions& o) { o.draws = 0; }, [](StrategyOptions& o) { o.share = 0; },
             [](StrategyOptions& o) { o.share = 1.5; }, [](StrategyOptions& o) { o.quota = -1; },
             [](StrategyOptions& o) { o.quota = 5, o.share = 0.5; }}) {
        StrategyOptions options = one("prefix");
        change(options);
        EXPECT_THROW(make_generation_plan({options}, Sharing::none), UsageError);
    }
}

TEST(GenerationPlanTest, TwoSamplesOfOnePromptAreDrawnApartAndMoreDrawsChangeNone) {
    StrategyOptions rlaif;
    rlaif.name = "rlaif";
    rlaif.model = "teacher";
    const GenerationPlan one = make_generation_plan({rlaif}, Sharing::equal_once);
    rlaif.draws = 2;
    const GenerationPlan two = make_generation_plan({rlaif}, Sharing::equal_once);
    ASSERT_EQ(one.generations.size(), 2u);
    ASSERT_EQ(two.generations.size(), 4u);
    EXPECT_EQ(one.generations[0].turns, one.generations[1].turns);
    std::set<std::string> purposes;
    for (const auto& generation : two.generations)
        EXPECT_TRUE(purposes.insert(generation.purpose).second);
    for (std::size_t i = 0; i < 2; ++i)
        EXPECT_EQ(one.generations[i].purpose, two.generations[i].purpose);
}

}  // namespace
}  // namespace popalign::synthesis
