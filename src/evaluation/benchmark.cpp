#include <popalign/base/error.hpp>
#include <popalign/base/gzip.hpp>
#include <popalign/evaluation/benchmark.hpp>
#include <popalign/store/rows/exchange.hpp>
#include <popalign/store/rows/json_rows.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <map>

namespace popalign::evaluation {
namespace {

namespace fs = std::filesystem;

/// `name` in the folder or in one of its own; packed or not.
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

/// FastChat's, by category.
double mt_bench_temperature(const std::string& category) {
    if (category == "writing" || category == "roleplay")
        return 0.7;
    return category == "stem" || category == "humanities" ? 0.1 : 0;
}

void add_hh_rlhf(const fs::path& path, const std::string& category, Benchmark& benchmark) {
    const store::ExchangeFormat& format = store::find_exchange_format("hh-rlhf");
    std::size_t number = 0;
    read_rows(path, [&](const nlohmann::json& row) {
        ++number;
        // What was asked is the same in both, but for a few rows; the chosen dialogue has it.
        const auto& dialogue = row.at("chosen");
        try {
            const Instruction instruction =
                format.read({{"chosen", dialogue}, {"rejected", dialogue}}).instruction;
            benchmark.items.push_back({fmt::format("{}-{}", category, number),
                                       category,
                                       instruction.context,
                                       {instruction.text}});
        } catch (const UsageError&) {  // a few do not end with a question and its answer
            ++benchmark.left_out;
        }
    });
}

}  // namespace

Benchmark load_alpaca_eval(const fs::path& folder) {
    Benchmark benchmark{"alpaca-eval", Scoring::alpaca_eval, "alpaca-eval", {}};
    std::size_t row = 0;
    read_rows(require(folder, "gpt4_1106_preview.json"), [&](const nlohmann::json& item) {
        benchmark.items.push_back({std::to_string(row++),
                                   "",
                                   {},
                                   {item.at("instruction").get<std::string>()},
                                   {},
                                   item.at("output").get<std::string>()});
    });
    if (has_length_control(folder))
        benchmark.length_control = load_length_control(folder);
    return benchmark;
}

Benchmark load_arena_hard(const fs::path& folder, const std::string& version) {
    Benchmark benchmark{"arena-hard", Scoring::arena_hard, "arena-hard", {}};
    read_rows(require(folder, fmt::format("question_{}.jsonl", version)),
              [&](const nlohmann::json& item) {
                  benchmark.items.push_back({item.at("uid").get<std::string>(),
                                             item.value("category", ""),
                                             {},
                                             {item.at("prompt").get<std::string>()}});
              });
    return benchmark;
}

Benchmark load_mt_bench(const fs::path& folder) {
    std::map<std::int64_t, std::vector<std::string>> references;
    read_rows(require(folder, "reference_answer_gpt-4.jsonl"), [&](const nlohmann::json& row) {
        references[row.at("question_id").get<std::int64_t>()] =
            row.at("choices").at(0).at("turns").get<std::vector<std::string>>();
    });
    Benchmark benchmark{"mt-bench", Scoring::rating, "mt-bench-single", {}};
    read_rows(require(folder, "question.jsonl"), [&](const nlohmann::json& row) {
        const auto id = row.at("question_id").get<std::int64_t>();
        BenchmarkItem item{std::to_string(id),
                           row.at("category").get<std::string>(),
                           {},
                           row.at("turns").get<std::vector<std::string>>()};
        if (item.turns.empty())
            throw UsageError("a question without turns");
        if (const auto found = references.find(id); found != references.end()) {
            item.references = found->second;
            item.references.resize(item.turns.size());
        }
        item.temperature = mt_bench_temperature(item.category);
        benchmark.items.push_back(std::move(item));
    });
    return benchmark;
}

Benchmark load_hh_rlhf(const fs::path& folder) {
    Benchmark benchmark{"hh-rlhf", Scoring::win_rate, "hh", {}};
    for (const std::string category : {"harmless-base", "helpful-base"})
        add_hh_rlhf(require(folder, category + "-test.jsonl"), category, benchmark);
    return benchmark;
}

void keep_first(std::vector<BenchmarkItem>& items, std::int64_t count) {
    if (count == 0)
        return;
    std::map<std::string, std::int64_t> taken;
    std::erase_if(items, [&](const BenchmarkItem& item) { return ++taken[item.category] > count; });
}

Instruction instruction_of(const BenchmarkItem& item) {
    return {item.id, item.category, item.turns.front(), Split::held_out, item.context};
}

}  // namespace popalign::evaluation
