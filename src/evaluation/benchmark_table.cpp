#include <popalign/base/error.hpp>
#include <popalign/base/gzip.hpp>
#include <popalign/evaluation/benchmark_table.hpp>
#include <popalign/store/rows/interchange.hpp>
#include <popalign/store/rows/json_rows.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <map>

namespace popalign::evaluation {
namespace {

namespace fs = std::filesystem;

/// `name` in the folder or in its `outputs`, compressed or not.
fs::path require(const fs::path& folder, const std::string& name) {
    for (const fs::path& place :
         {folder / name, folder / (name + ".gz"), folder / "outputs" / name})
        if (fs::exists(place))
            return place;
    throw InputError((folder / name).native(),
                     "no such file; data/fetch_benchmarks.py fetches it, --data names its folder");
}

void read_rows(const fs::path& path, const std::function<void(const nlohmann::json&)>& visit) {
    const std::string text = read_text_or_gzip(path);
    store::visit_json_rows(text, path.native(), visit);
}

/// The reference's answers are the data: a list of {instruction, output}.
void load_alpaca_eval(const fs::path& folder, const std::string&, Benchmark& benchmark) {
    benchmark.baseline_name = "gpt4_1106_preview";
    read_rows(require(folder, benchmark.baseline_name + ".json"), [&](const nlohmann::json& row) {
        BenchmarkItem item{.id = std::to_string(benchmark.items.size()),
                           .category = "",
                           .turns = {row.at("instruction").get<std::string>()}};
        item.baseline = row.at("output").get<std::string>();
        benchmark.items.push_back(std::move(item));
    });
    if (has_length_control(folder))
        benchmark.length_control = load_length_control(folder);
}

constexpr std::string_view arena_hard_versions[] = {"v0.1", "v2.0"};

/// question_<version>.jsonl of {uid, category, prompt}.
void load_arena_hard(const fs::path& folder, const std::string& version, Benchmark& benchmark) {
    read_rows(require(folder, fmt::format("question_{}.jsonl", version)),
              [&](const nlohmann::json& row) {
                  benchmark.items.push_back({.id = row.at("uid").get<std::string>(),
                                             .category = row.value("category", ""),
                                             .turns = {row.at("prompt").get<std::string>()}});
              });
}

/// FastChat's temperature of a category.
double mt_bench_temperature(const std::string& category) {
    if (category == "writing" || category == "roleplay")
        return 0.7;
    return category == "stem" || category == "humanities" ? 0.1 : 0;
}

/// question.jsonl and reference_answer_gpt-4.jsonl.
void load_mt_bench(const fs::path& folder, const std::string&, Benchmark& benchmark) {
    std::map<std::int64_t, std::vector<std::string>> references;
    read_rows(require(folder, "reference_answer_gpt-4.jsonl"), [&](const nlohmann::json& row) {
        references[row.at("question_id").get<std::int64_t>()] =
            row.at("choices").at(0).at("turns").get<std::vector<std::string>>();
    });
    read_rows(require(folder, "question.jsonl"), [&](const nlohmann::json& row) {
        const auto id = row.at("question_id").get<std::int64_t>();
        BenchmarkItem item{.id = std::to_string(id),
                           .category = row.at("category").get<std::string>(),
                           .turns = row.at("turns").get<std::vector<std::string>>()};
        if (item.turns.empty())
            throw UsageError("a question without turns");
        if (const auto found = references.find(id); found != references.end()) {
            item.references = found->second;
            item.references.resize(item.turns.size());
        }
        item.temperature = mt_bench_temperature(item.category);
        benchmark.items.push_back(std::move(item));
    });
}

/// harmless-base-test.jsonl and helpful-base-test.jsonl. A question is the dialogue up to the last
/// answer.
void load_hh_rlhf(const fs::path& folder, const std::string&, Benchmark& benchmark) {
    const store::InterchangeFormat& format = store::find_interchange_format("hh-rlhf");
    for (const std::string category : {"harmless-base", "helpful-base"}) {
        std::size_t number = 0;
        read_rows(require(folder, category + "-test.jsonl"), [&](const nlohmann::json& row) {
            ++number;
            // Both dialogues ask the same, but for a few rows; the chosen one counts.
            const auto& dialogue = row.at("chosen");
            try {
                const Instruction instruction =
                    format.read({{"chosen", dialogue}, {"rejected", dialogue}}).instruction;
                benchmark.items.push_back({.id = fmt::format("{}-{}", category, number),
                                           .category = category,
                                           .context = instruction.context,
                                           .turns = {instruction.text}});
            } catch (const UsageError&) {  // a few do not end with a question and its answer
                ++benchmark.left_out;
            }
        });
    }
}

constexpr BenchmarkRow rows[] = {
    {"alpaca-eval", "plain and length-controlled win rates, of a model or of annotations",
     "alpaca_eval", Scoring::length_controlled_win_rate, "alpaca-eval", load_alpaca_eval},
    {"arena-hard", "Bradley-Terry scores with bootstrap intervals, of a model or of battles",
     "arena_hard", Scoring::bradley_terry, "arena-hard", load_arena_hard, arena_hard_versions},
    {"mt-bench", "ratings of answers in two turns, by category", "mt_bench", Scoring::rating,
     "mt-bench-single", load_mt_bench},
    {"hh-rlhf", "judged win rate over the baseline on harmless-base and helpful-base prompts",
     "hh_rlhf", Scoring::win_rate, "hh", load_hh_rlhf},
};

}  // namespace

std::span<const BenchmarkRow> benchmark_table() {
    return rows;
}

Benchmark load_benchmark(const BenchmarkRow& row, const fs::path& folder,
                         const std::string& version) {
    Benchmark benchmark{.name = std::string(row.name),
                        .scoring = row.scoring,
                        .judge_template = std::string(row.judge_template)};
    row.load(folder, version, benchmark);
    for (const BenchmarkItem& item : benchmark.items)
        if (item.baseline.has_value() == benchmark.baseline_name.empty())
            throw InputError(
                folder.native(),
                fmt::format("item '{}' has {}", item.id,
                            item.baseline ? "an answer of a baseline that is not named"
                                          : "no answer of " + benchmark.baseline_name));
    return benchmark;
}

}  // namespace popalign::evaluation
