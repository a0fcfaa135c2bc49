#include <popalign/base/error.hpp>
#include <popalign/lm/judge/judge_template.hpp>

#include <gtest/gtest.h>

#include <cmath>

namespace popalign::lm {
namespace {

TEST(JudgeTemplate, TheBuiltInOneNamesThePapersCriteria) {
    const JudgeTemplate contrast = load_judge_template("contrast");
    for (const char* word : {"elpful", "armless", "onest"})
        EXPECT_NE(contrast.system.find(word), std::string::npos) << word;
    for (const char* mark : {"{instruction}", "{first}", "{second}"})
        EXPECT_NE(contrast.user.find(mark), std::string::npos) << mark;
    EXPECT_EQ(judge_template_sha256(contrast).size(), 64U);
    EXPECT_THROW(load_judge_template("unheard_of"), UsageError);
    EXPECT_THROW(load_judge_template("/nonexistent.yaml"), InputError);
}

TEST(JudgeTemplate, EveryBuiltInOneIsFilledIn) {
    const Showing showing{"<I>", "<A>", "<B>", "<R>", "<I2>", "<A2>", "<B2>", "<R2>"};
    for (const std::string name :
         {"contrast", "contrast-words", "arena-hard", "hh", "alpaca-eval", "mt-bench-single",
          "mt-bench-single-reference", "mt-bench-single-turn-2", "mt-bench-single-reference-turn-2",
          "mt-bench-pairwise", "mt-bench-pairwise-reference", "mt-bench-pairwise-turn-2",
          "mt-bench-pairwise-reference-turn-2"}) {
        const JudgeTemplate judge_template = load_judge_template(name);
        const std::string text = judge_messages(judge_template, showing).back().content;
        std::vector<std::string> wanted{"<I>", "<A>"};
        if (judge_template.verdict != "rating")
            wanted.push_back("<B>");
        if (name.find("reference") != std::string::npos)
            wanted.push_back("<R>");
        if (name.find("turn-2") != std::string::npos)
            wanted.insert(wanted.end(), {"<I2>", "<A2>"});
        for (const std::string& mark : wanted)
            EXPECT_NE(text.find(mark), std::string::npos) << name << " lacks " << mark;
        for (const char* left : {"{instruction", "{first", "{second", "{reference"})
            EXPECT_EQ(text.find(left), std::string::npos) << name << " leaves " << left;
    }
}

TEST(JudgeTemplate, MarksInAnswersStayAsTheyAre) {
    const Showing showing{"{second}", "{first}", "b"};
    const std::string text =
        judge_messages(load_judge_template("arena-hard"), showing).back().content;
    EXPECT_NE(text.find("<|User Prompt|>\n{second}\n"), std::string::npos);
}

TEST(JudgeTemplate, WordsBecomeJudgements) {
    const JudgeTemplate arena = load_judge_template("arena-hard");
    const Judgement strong = judgement_of_words(arena, "Reasons.\n\nMy final verdict is: [[B>>A]]");
    EXPECT_EQ(strong.outcome, Outcome::second);
    EXPECT_EQ(strong.games, 3);
    EXPECT_EQ(strong.probability, 0);
    EXPECT_EQ(judgement_of_words(arena, "[[A=B]]").outcome, Outcome::tie);
    EXPECT_EQ(judgement_of_words(arena, "I like both.").outcome, Outcome::unparsed);
    EXPECT_EQ(judgement_of_words(arena, "Neither").outcome, Outcome::abstained);
    const JudgeTemplate rating = load_judge_template("mt-bench-single");
    EXPECT_EQ(judgement_of_words(rating, "Good.\nRating: [[8]]").rating, 8);
    EXPECT_FALSE(judgement_of_words(rating, "Good. 8").valid());
}

TEST(JudgeTemplate, MistakesAreNamed) {
    JudgeTemplate made = load_judge_template("contrast");
    EXPECT_NO_THROW(made.validate());
    const auto refused = [&](auto change) {
        JudgeTemplate changed = made;
        change(changed);
        EXPECT_THROW(changed.validate(), UsageError);
    };
    refused([](auto& t) { t.verdict = "feelings"; });
    refused([](auto& t) { t.labels.pop_back(); });
    refused([](auto& t) { t.labels[0].winner = "third"; });
    refused([](auto& t) { t.labels[0].games = 0; });
    refused([](auto& t) { t.max_new_tokens = 0; });
    refused([](auto& t) { t.verdict = "words", t.labels.clear(); });
}

TEST(Judgement, BecomesAVerdictInEitherOrder) {
    const Judgement first = judgement_of(2.0);
    EXPECT_EQ(verdict_of(first, AnswerOrder::chosen_first).label, VerdictLabel::chosen);
    EXPECT_EQ(verdict_of(first, AnswerOrder::rejected_first).label, VerdictLabel::rejected);
    EXPECT_DOUBLE_EQ(verdict_of(first, AnswerOrder::chosen_first).probability +
                         verdict_of(first, AnswerOrder::rejected_first).probability,
                     1);
    Judgement none;
    EXPECT_FALSE(verdict_of(none, AnswerOrder::chosen_first).parsed);
    none.outcome = Outcome::abstained;
    EXPECT_TRUE(verdict_of(none, AnswerOrder::chosen_first).parsed);
    EXPECT_TRUE(std::isnan(verdict_of(none, AnswerOrder::chosen_first).probability));
}

}  // namespace
}  // namespace popalign::lm
