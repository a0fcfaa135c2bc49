#include <popalign/record/pair_flags.hpp>

#include <gtest/gtest.h>

namespace popalign {
namespace {

const Instruction question{"1", "", "What is it?"};

Response response(const std::string& text) {
    Response made;
    made.text = text;
    return made;
}

std::uint32_t flag(PairFlag value) {
    return static_cast<std::uint32_t>(value);
}

TEST(PairFlags, NameWhatIsUnfit) {
    EXPECT_EQ(pair_flags(question, response("a"), response("b")), 0U);
    EXPECT_EQ(pair_flags(question, response("a"), response("a")), flag(PairFlag::identical));
    EXPECT_EQ(pair_flags(question, response(""), response("b")), flag(PairFlag::empty));
    Response cut = response("a");
    cut.finish_reason = FinishReason::length;
    EXPECT_EQ(pair_flags(question, cut, response("b")), flag(PairFlag::truncated));
    Response unparsed = response("a");
    unparsed.parsed = false;
    EXPECT_EQ(pair_flags(question, response("b"), unparsed), flag(PairFlag::unparsed));
    EXPECT_EQ(pair_flags(question, response("I\xE2\x80\x99m sorry, but no."), response("b")),
              flag(PairFlag::refusal));
    EXPECT_EQ(pair_flags(question, response("yes"), response("I'm sorry, no.")), 0U)
        << "only a chosen refusal is unfit";
}

std::string repeated(const std::string& text, int times) {
    std::string result;
    for (int i = 0; i < times; ++i)
        result += text;
    return result;
}

TEST(PairFlags, NameExtremeLengthsAndNearDuplicates) {
    const std::string text = "The quick brown fox jumps over the lazy dog and runs on. ";
    EXPECT_EQ(pair_flags(question, response(repeated("word and more ", 20)), response("short")),
              flag(PairFlag::length_ratio));
    EXPECT_EQ(pair_flags(question, response("no"), response("not at all, since it is none")), 0U)
        << "short texts may differ in length";
    const std::string long_text = text + "Then the sun sets behind the hills of a far country.";
    EXPECT_EQ(pair_flags(question, response(long_text), response(long_text + "!")),
              flag(PairFlag::near_duplicate));
}

TEST(PairFlags, NameAnotherScript) {
    EXPECT_EQ(pair_flags(question, response("Это дом."), response("A house.")),
              flag(PairFlag::other_script));
    EXPECT_EQ(pair_flags(question, response("A house."), response("それは家です。")),
              flag(PairFlag::other_script));
    EXPECT_EQ(pair_flags(question, response("1 + 2 = 3"), response("A house.")), 0U)
        << "no letters, no script";
    EXPECT_EQ(main_script("日本語 and かな, 漢字とかな"), Script::han);
    EXPECT_EQ(main_script("naïve café"), Script::latin);
    EXPECT_EQ(main_script("\xFF\xC3"), Script::none) << "no UTF-8";
}

}  // namespace
}  // namespace popalign
