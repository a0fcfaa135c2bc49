#include <popalign/record/preference_pair.hpp>
#include <popalign/synthesis/response_text.hpp>

#include <gtest/gtest.h>

namespace popalign {
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

Response response(const std::string& text) {
    Response made;
    made.text = text;
    return made;
}

std::uint32_t flag(PairFlag value) {
    return static_cast<std::uint32_t>(value);
}

TEST(PairFlags, NameWhatIsUnfit) {
    EXPECT_EQ(pair_flags(response("a"), response("b")), 0U);
    EXPECT_EQ(pair_flags(response("a"), response("a")), flag(PairFlag::identical));
    EXPECT_EQ(pair_flags(response(""), response("b")), flag(PairFlag::empty));
    Response cut = response("a");
    cut.finish_reason = FinishReason::length;
    EXPECT_EQ(pair_flags(cut, response("b")), flag(PairFlag::truncated));
    Response unparsed = response("a");
    unparsed.parsed = false;
    EXPECT_EQ(pair_flags(response("b"), unparsed), flag(PairFlag::unparsed));
    EXPECT_EQ(pair_flags(response("I\xE2\x80\x99m sorry, but no."), response("b")),
              flag(PairFlag::refusal));
    EXPECT_EQ(pair_flags(response("yes"), response("I'm sorry, no.")), 0U)
        << "only a chosen refusal is unfit";
}

}  // namespace
}  // namespace popalign
