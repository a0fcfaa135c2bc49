#pragma once

#include <popalign/evaluation/alpaca_eval.hpp>
#include <popalign/record/instruction.hpp>
#include <popalign/record/judgement.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace popalign::evaluation {

/// One thing that a benchmark asks, in one turn or two.
struct BenchmarkItem {
    std::string id, category;
    std::vector<Message> context = {};         ///< a dialogue before the first turn
    std::vector<std::string> turns;            ///< what the user says
    std::vector<std::string> references = {};  ///< known good answers, by turn; none if empty
    std::optional<std::string> baseline = {};  ///< the baseline's answer, if the data have it
    std::optional<double> temperature = {};    ///< instead of the config's

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& id& category& context& turns& references;
    }
};

/// How judgements become figures.
enum class Scoring {
    alpaca_eval,  ///< preferences: plain and length-controlled win rate
    arena_hard,   ///< labels as games: Bradley-Terry
    rating,       ///< 1 to 10 for each turn
    win_rate      ///< both orders' mean probability: wins, ties and losses
};

struct Benchmark {
    std::string name;
    Scoring scoring = Scoring::win_rate;
    std::string judge_template;  ///< its own, unless the config names another
    std::vector<BenchmarkItem> items;
    std::uint64_t left_out = 0;                            ///< rows of the data that ask nothing
    std::optional<LengthControlData> length_control = {};  ///< AlpacaEval's, if the folder has it
};

/// From a folder that data/fetch_benchmarks.py fills: the reference's answers
/// (gpt4_1106_preview.json, a list of {instruction, output}).
Benchmark load_alpaca_eval(const std::filesystem::path& folder);
/// `version` is v0.1 or v2.0: question_<version>.jsonl of {uid, category, prompt}.
Benchmark load_arena_hard(const std::filesystem::path& folder, const std::string& version);
/// question.jsonl and reference_answer_gpt-4.jsonl. Temperatures are FastChat's by category.
Benchmark load_mt_bench(const std::filesystem::path& folder);
/// harmless-base-test.jsonl.gz and helpful-base-test.jsonl.gz; what is asked is the dialogue up to
/// the last answer. All of these throw InputError.
Benchmark load_hh_rlhf(const std::filesystem::path& folder);

/// The first `count` items of each category; 0: all.
void keep_first(std::vector<BenchmarkItem>& items, std::int64_t count);

/// The dialogue up to the first turn.
Instruction instruction_of(const BenchmarkItem& item);

}  // namespace popalign::evaluation
