#include "synthesis/prompts.hpp"

#include <gtest/gtest.h>

namespace popalign {
namespace {

TEST(Prompts, FillInTheInstructionOnce) {
    const PlannedGeneration generation{
        "g", "m", {{"Q: {instruction} and {instruction}", "(good)", "plain"}}, {}, "p"};
    const Prompt prompt = make_prompt(generation, {"1", "", "say {instruction}"}, {});
    EXPECT_EQ(prompt.messages.at(0).content, "Q: say {instruction} and say {instruction}");
    EXPECT_EQ(prompt.assistant_prefix, "(good)");
}

TEST(Prompts, EarlierAnswersStandBetweenTheTurns) {
    const PlannedGeneration generation{
        "g", "m", {{"{instruction}", "", "plain"}, {"Improve it.", "", "plain"}}, 0, "p"};
    const Prompt prompt = make_prompt(generation, {"1", "", "Hi"}, {"Hello"});
    ASSERT_EQ(prompt.messages.size(), 3U);
    EXPECT_EQ(prompt.messages[1].role, Role::assistant);
    EXPECT_EQ(prompt.messages[1].content, "Hello");
    EXPECT_EQ(prompt.messages[2].content, "Improve it.");
}

}  // namespace
}  // namespace popalign
