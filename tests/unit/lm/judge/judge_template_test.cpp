#include "support/test_files.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/gzip.hpp>
#include <popalign/base/hash.hpp>
#include <popalign/lm/judge/judge_template.hpp>
#include <popalign/store/rows/json_rows.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <map>

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
    const JudgeQuery query{"<I>", "<A>", "<B>", "<R>", "<I2>", "<A2>", "<B2>", "<R2>"};
    for (const std::string name :
         {"contrast", "contrast-words", "arena-hard", "hh", "alpaca-eval", "mt-bench-single",
          "mt-bench-single-reference", "mt-bench-single-turn-2", "mt-bench-single-reference-turn-2",
          "mt-bench-pairwise", "mt-bench-pairwise-reference", "mt-bench-pairwise-turn-2",
          "mt-bench-pairwise-reference-turn-2"}) {
        const JudgeTemplate judge_template = load_judge_template(name);
        const std::string text = judge_messages(judge_template, query).back().content;
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

/// As the benchmark fills in what its template asks for by `names`.
std::string filled(std::string text, const std::map<std::string, std::string>& names) {
    for (const auto& [name, value] : names) {
        const std::string mark = "{" + name + "}";
        for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark))
            text.replace(at, mark.size(), value);
    }
    return text;
}

/// Its name in FastChat.
std::string original_name(const JudgeTemplate& judge_template) {
    return judge_template.source.substr(judge_template.source.rfind(' ') + 1);
}

TEST(JudgeTemplate, ArenaHardsSystemMessageIsThePublishedOne) {
    // Of `system_prompt` in config/judge_config.yaml of lmarena/arena-hard-auto at 7f1b7f5.
    constexpr auto published = "03f68010febd7a6405102ef882b4dd5a9700c56b2e1ff286d3b38f5d3a929bbf";
    for (const char* name : {"arena-hard", "hh"})
        EXPECT_EQ(sha256_hex(load_judge_template(name).system), published) << name;
}

TEST(JudgeTemplate, MtBenchsAreTheOriginalsWordForWord) {
    const auto path = test::published_file("mt_bench/judge_prompts.jsonl");
    POPALIGN_NEEDS(path);
    std::map<std::string, nlohmann::json> originals;
    store::visit_json_rows(read_text_or_gzip(path), path.native(),
                           [&](const nlohmann::json& row) { originals[row.at("name")] = row; });
    const std::map<std::string, std::string> names{
        {"question", "<I>"},     {"question_1", "<I>"},   {"question_2", "<I2>"},
        {"answer", "<A>"},       {"answer_1", "<A>"},     {"answer_2", "<A2>"},
        {"answer_a", "<A>"},     {"answer_a_1", "<A>"},   {"answer_a_2", "<A2>"},
        {"answer_b", "<B>"},     {"answer_b_1", "<B>"},   {"answer_b_2", "<B2>"},
        {"ref_answer_1", "<R>"}, {"ref_answer_2", "<R2>"}};
    const JudgeQuery query{"<I>", "<A>", "<B>", "<R>", "<I2>", "<A2>", "<B2>", "<R2>"};
    int compared = 0;
    for (const std::string kind : {"single", "pairwise"})
        for (const std::string reference : {"", "-reference"})
            for (const std::string turn : {"", "-turn-2"}) {
                const auto ours = load_judge_template("mt-bench-" + kind + reference + turn);
                const auto& original = originals.at(original_name(ours));
                EXPECT_EQ(ours.system, original.at("system_prompt")) << ours.name;
                EXPECT_EQ(judge_messages(ours, query).back().content,
                          filled(original.at("prompt_template"), names))
                    << ours.name;
                ++compared;
            }
    EXPECT_EQ(compared, 8);
    EXPECT_EQ(originals.size(), 8U);
}

TEST(JudgeTemplate, AlpacaEvalsIsTheOriginalWordForWord) {
    const auto path = test::published_file(
        "alpaca_eval/evaluators_configs/alpaca_eval_clf_gpt4_turbo/alpaca_eval_clf.txt");
    POPALIGN_NEEDS(path);
    const auto messages = judge_messages(load_judge_template("alpaca-eval"), {"<I>", "<A>", "<B>"});
    ASSERT_EQ(messages.size(), 2U);
    EXPECT_EQ("<|im_start|>system\n" + messages[0].content + "\n<|im_end|>\n<|im_start|>user\n" +
                  messages[1].content + "\n<|im_end|>",
              filled(read_text_or_gzip(path),
                     {{"instruction", "<I>"}, {"output_1", "<A>"}, {"output_2", "<B>"}}));
}

TEST(JudgeTemplate, ArenaHardsQuestionIsTheOriginalWordForWord) {
    const auto path = test::published_file("arena_hard/config/arena-hard-v0.1.yaml");
    POPALIGN_NEEDS(path);
    const std::string user =
        judge_messages(load_judge_template("arena-hard"), {"<I>", "<A>", "<B>"}).back().content;
    // In the file it stands as a quoted string.
    std::string quoted = nlohmann::json(user).dump();
    const auto original = filled(read_text_or_gzip(path),
                                 {{"QUESTION", "<I>"}, {"ANSWER_A", "<A>"}, {"ANSWER_B", "<B>"}});
    EXPECT_NE(original.find("prompt_template: " + quoted), std::string::npos) << quoted;
}

TEST(JudgeTemplate, MarksInAnswersStayAsTheyAre) {
    const JudgeQuery query{"{second}", "{first}", "b"};
    const std::string text =
        judge_messages(load_judge_template("arena-hard"), query).back().content;
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
