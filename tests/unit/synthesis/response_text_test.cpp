#include "synthesis/response_text.hpp"

#include <gtest/gtest.h>

namespace popalign::synthesis {
namespace {

TEST(ParseAnswer, PlainAnswersAreTrimmed) {
    EXPECT_EQ(parse_answer("  hello \n", "plain").text, "hello");
}

TEST(ParseAnswer, FindsTheResponseInEveryDress) {
    for (const char* answer :
         {"Thought: think\nResponse: say", "Thought:\nthink\n\nResponse:\nsay\n",
          "**Thought:** think\n\n**Response:** say", "thought: think\nRESPONSE : say",
          "## Thought: think\n## Response: say"}) {
        const ParsedText parsed = parse_answer(answer, "thought_response");
        EXPECT_TRUE(parsed.parsed) << answer;
        EXPECT_EQ(parsed.text, "say") << answer;
        EXPECT_EQ(parsed.thought, "think") << answer;
    }
}

TEST(ParseAnswer, WithoutTheLabelAllIsTextAndUnparsed) {
    const ParsedText parsed =
        parse_answer("Thought: my response: none at a line's start", "thought_response");
    EXPECT_FALSE(parsed.parsed);
    EXPECT_EQ(parsed.text, "Thought: my response: none at a line's start");
}

}  // namespace
}  // namespace popalign::synthesis
