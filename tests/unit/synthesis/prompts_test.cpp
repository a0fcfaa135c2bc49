#include "synthesis/prompts.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>

namespace popalign::synthesis {
namespace {

TEST(Prompts, FillInTheInstructionOnce) {
    const PlannedGeneration generation{
        "g", "m", {{"Q: {instruction} and {instruction}", "(good)", "plain"}}, {}, "p"};
    const Prompt prompt = make_prompt(generation, {"1", "", "say {instruction}"}, {}, 0);
    EXPECT_EQ(prompt.messages.at(0).content, "Q: say {instruction} and say {instruction}");
    EXPECT_EQ(prompt.assistant_prefix, "(good)");
}

TEST(Prompts, EarlierAnswersStandBetweenTheTurns) {
    const PlannedGeneration generation{
        "g", "m", {{"{instruction}", "", "plain"}, {"Improve it.", "", "plain"}}, 0, "p"};
    const Prompt prompt = make_prompt(generation, {"1", "", "Hi"}, {"Hello"}, 0);
    ASSERT_EQ(prompt.messages.size(), 3U);
    EXPECT_EQ(prompt.messages[1].role, Role::assistant);
    EXPECT_EQ(prompt.messages[1].content, "Hello");
    EXPECT_EQ(prompt.messages[2].content, "Improve it.");
}

PlannedGeneration with_affixes() {
    PlannedGeneration generation{
        "g", "m", {{"{instruction}", "({affix})\n", "plain", "({opposite_affix})\n"}}, {}, "p"};
    for (int i = 0; i < 16; ++i)
        generation.affixes.push_back({"good " + std::to_string(i), "bad " + std::to_string(i)});
    return generation;
}

Instruction dialogue(const std::string& id) {
    return {id, "", "And {affix}?", Split::train, {{Role::user, "Hi"}, {Role::assistant, "Hello"}}};
}

TEST(Prompts, EarlierAnswersOfADialogueHaveTheOppositeWords) {
    const Prompt prompt = make_prompt(with_affixes(), dialogue("1"), {}, 0);
    ASSERT_EQ(prompt.messages.size(), 3U);
    EXPECT_EQ(prompt.messages[0].content, "Hi");
    EXPECT_EQ(prompt.messages[1].content.find("(bad "), 0U);
    EXPECT_EQ(prompt.messages[1].content.substr(prompt.messages[1].content.size() - 6), "\nHello");
    EXPECT_EQ(prompt.messages[2].content, "And {affix}?") << "the user's words stay";
    EXPECT_EQ(prompt.assistant_prefix.find("(good "), 0U);
}

TEST(Prompts, AffixesAreDrawnByInstructionForBothSides) {
    PlannedGeneration good = with_affixes(), bad = with_affixes();
    for (Affix& affix : bad.affixes)
        std::swap(affix.chosen, affix.rejected);
    std::set<std::string> seen, of_another_seed, of_another_draw;
    for (int i = 0; i < 200; ++i) {
        const Instruction instruction = dialogue(std::to_string(i));
        const Prompt chosen = make_prompt(good, instruction, {}, 1);
        const Prompt rejected = make_prompt(bad, instruction, {}, 1);
        EXPECT_EQ(chosen.assistant_prefix.substr(6), rejected.assistant_prefix.substr(5))
            << "index-matched";
        EXPECT_EQ(chosen.assistant_prefix, make_prompt(good, instruction, {}, 1).assistant_prefix);
        seen.insert(chosen.assistant_prefix);
        of_another_seed.insert(chosen.assistant_prefix +
                               make_prompt(good, instruction, {}, 2).assistant_prefix);
        PlannedGeneration again = good;
        again.draw = 1;
        of_another_draw.insert(chosen.assistant_prefix +
                               make_prompt(again, instruction, {}, 1).assistant_prefix);
    }
    EXPECT_EQ(seen.size(), 16U) << "all occur";
    EXPECT_GT(of_another_seed.size(), 64U) << "seeds draw independently";
    EXPECT_GT(of_another_draw.size(), 64U) << "draws draw independently";
}

}  // namespace
}  // namespace popalign::synthesis
