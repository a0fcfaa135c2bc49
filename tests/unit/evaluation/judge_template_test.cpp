#include "shared_data.hpp"

#include <popalign/base/gzip.hpp>
#include <popalign/base/hash.hpp>
#include <popalign/lm/judge/judge_template.hpp>
#include <popalign/store/rows/json_rows.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>

namespace popalign::evaluation {
namespace {

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
std::string original_name(const lm::JudgeTemplate& judge_template) {
    return judge_template.source.substr(judge_template.source.rfind(' ') + 1);
}

TEST(BenchmarkTemplates, ArenaHardsSystemMessageIsThePublishedOne) {
    // Of `system_prompt` in config/judge_config.yaml of lmarena/arena-hard-auto at 7f1b7f5.
    constexpr auto published = "03f68010febd7a6405102ef882b4dd5a9700c56b2e1ff286d3b38f5d3a929bbf";
    for (const char* name : {"arena-hard", "hh"})
        EXPECT_EQ(sha256_hex(lm::load_judge_template(name).system), published) << name;
}

TEST(BenchmarkTemplates, MtBenchsAreTheOriginalsWordForWord) {
    const auto path = shared_data() / "mt_bench/judge_prompts.jsonl";
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
    const Showing showing{"<I>", "<A>", "<B>", "<R>", "<I2>", "<A2>", "<B2>", "<R2>"};
    int compared = 0;
    for (const std::string kind : {"single", "pairwise"})
        for (const std::string reference : {"", "-reference"})
            for (const std::string turn : {"", "-turn-2"}) {
                const auto ours = lm::load_judge_template("mt-bench-" + kind + reference + turn);
                const auto& original = originals.at(original_name(ours));
                EXPECT_EQ(ours.system, original.at("system_prompt")) << ours.name;
                EXPECT_EQ(lm::judge_messages(ours, showing).back().content,
                          filled(original.at("prompt_template"), names))
                    << ours.name;
                ++compared;
            }
    EXPECT_EQ(compared, 8);
    EXPECT_EQ(originals.size(), 8U);
}

TEST(BenchmarkTemplates, AlpacaEvalsIsTheOriginalWordForWord) {
    const auto path = shared_data() /
                      "alpaca_eval/evaluators_configs/alpaca_eval_clf_gpt4_turbo/"
                      "alpaca_eval_clf.txt";
    POPALIGN_NEEDS(path);
    const auto messages =
        lm::judge_messages(lm::load_judge_template("alpaca-eval"), {"<I>", "<A>", "<B>"});
    ASSERT_EQ(messages.size(), 2U);
    EXPECT_EQ("<|im_start|>system\n" + messages[0].content + "\n<|im_end|>\n<|im_start|>user\n" +
                  messages[1].content + "\n<|im_end|>",
              filled(read_text_or_gzip(path),
                     {{"instruction", "<I>"}, {"output_1", "<A>"}, {"output_2", "<B>"}}));
}

TEST(BenchmarkTemplates, ArenaHardsQuestionIsTheOriginalWordForWord) {
    const auto path = shared_data() / "arena_hard/config/arena-hard-v0.1.yaml";
    POPALIGN_NEEDS(path);
    const std::string user =
        lm::judge_messages(lm::load_judge_template("arena-hard"), {"<I>", "<A>", "<B>"})
            .back()
            .content;
    // In the file it stands as a quoted string.
    std::string quoted = nlohmann::json(user).dump();
    const auto original = filled(read_text_or_gzip(path),
                                 {{"QUESTION", "<I>"}, {"ANSWER_A", "<A>"}, {"ANSWER_B", "<B>"}});
    EXPECT_NE(original.find("prompt_template: " + quoted), std::string::npos) << quoted;
}

}  // namespace
}  // namespace popalign::evaluation
