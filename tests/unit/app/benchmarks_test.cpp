// A benchmark of three rows that the program does not know: one row of the table and one loader
// are all that `evaluate <benchmark>` needs.
#include "app/evaluate/benchmarks.hpp"

#include <popalign/base/file.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/store/rows/jsonl.hpp>

#include <CLI/CLI.hpp>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <support/temporary_directory.hpp>
#include <support/world.hpp>

namespace popalign::app {
namespace {

using evaluation::Benchmark;
using evaluation::BenchmarkRow;
using evaluation::Scoring;
using test::world;

/// <version>.jsonl of {question, kind, answer}; the answers are the book's.
void load_trivia(const std::filesystem::path& folder, const std::string& version,
                 Benchmark& benchmark) {
    benchmark.baseline_name = "book";
    store::read_jsonl(folder / (version + ".jsonl"), [&](std::size_t, const nlohmann::json& row) {
        benchmark.items.push_back({.id = std::to_string(benchmark.items.size()),
                                   .category = row.at("kind").get<std::string>(),
                                   .turns = {row.at("question").get<std::string>()},
                                   .baseline = row.at("answer").get<std::string>()});
    });
}

constexpr std::string_view versions[] = {"easy", "hard"};

constexpr BenchmarkRow trivia(Scoring scoring) {
    return {"trivia", "answers beside a book's", "trivia", scoring, "contrast", load_trivia,
            versions};
}

/// Data, ready answers and a config whose judge prefers the longer answer.
class Benchmarks : public testing::Test {
  protected:
    Benchmarks() {
        comm::run_on_all(world(), [&] {
            if (!world().is_root())
                return;
            write_text_file(directory_ / "easy.jsonl",
                            R"({"question": "one?", "kind": "number", "answer": "1"}
{"question": "two?", "kind": "number", "answer": "12"}
{"question": "sky?", "kind": "colour", "answer": "blue, mostly"}
)");
            write_text_file(directory_ / "hard.jsonl",
                            R"({"question": "one?", "kind": "number", "answer": "a unit, of course"}
)");
            write_text_file(directory_ / "answers.jsonl",
                            R"({"instruction": "one?", "text": "it is 1"}
{"instruction": "two?", "text": "22"}
{"instruction": "sky?", "text": "grey"}
)");
            const nlohmann::json config{
                {"run", {{"name", "x"}, {"directory", (directory_ / "run").native()}}},
                {"models", {{"mine", {{"responses", (directory_ / "answers.jsonl").native()}}}}},
                {"instructions", {{"path", "none.jsonl"}}},
                {"evaluate", {{"judge", "longest"}}}};
            write_text_file(directory_ / "run.yaml", config.dump());
        });
    }

    /// `evaluate trivia` with further words; returns its result.
    nlohmann::json evaluate(const BenchmarkRow& row, const std::vector<std::string>& more = {}) {
        CLI::App app;
        const Command command = make_benchmark_command(app, row);
        std::vector<std::string> words{
            "trivia", "--config", (directory_ / "run.yaml").native(), "--model",
            "mine",   "--data",   directory_.path().native()};
        words.insert(words.end(), more.begin(), more.end());
        std::ranges::reverse(words);  // as CLI11 takes them
        app.parse(words);
        const Logger logger(world().rank(), world().size(), LogLevel::error);
        EXPECT_EQ(command.run({world(), logger, "test"}), ExitStatus::done);
        auto result =
            nlohmann::json::parse(read_text_file(directory_ / "run/evaluate/trivia.json"));
        comm::run_on_all(world(), [] {});  // nobody goes on before all have read
        return result;
    }

    test::TemporaryDirectory directory_;
};

TEST_F(Benchmarks, ARowAndALoaderMakeACommand) {
    static constexpr BenchmarkRow row = trivia(Scoring::win_rate);
    const auto result = evaluate(row);
    EXPECT_EQ(result["benchmark"], "trivia");
    EXPECT_EQ(result["baseline"], "book");
    EXPECT_EQ(result["judge"], "longest");
    EXPECT_EQ(result["win_rate"], 0.5);  // longer, as long, shorter
    EXPECT_EQ(result["ties"], 1);
    EXPECT_EQ(result["n"], 3);
    EXPECT_EQ(result["categories"]["number"]["win_rate"], 0.75);
    EXPECT_EQ(result["categories"]["colour"]["win_rate"], 0);
    std::vector<std::string> baselines;
    store::read_jsonl(directory_ / "run/evaluate/trivia.jsonl",
                      [&](std::size_t, const nlohmann::json& item) {
                          baselines.push_back(item.at("baseline").get<std::string>());
                      });
    EXPECT_EQ(baselines, (std::vector<std::string>{"1", "12", "blue, mostly"}));
    EXPECT_EQ(evaluate(row, {"--version", "hard"})["win_rate"], 0);
    EXPECT_EQ(evaluate(row, {"--set", "evaluate.limit=1"})["n"], 2);  // of each category
}

TEST_F(Benchmarks, AnyKnownScoringWillDo) {
    static constexpr BenchmarkRow preferences = trivia(Scoring::length_controlled_win_rate),
                                  games = trivia(Scoring::bradley_terry),
                                  ratings = trivia(Scoring::rating);
    EXPECT_EQ(evaluate(preferences)["win_rate"], 50);
    const auto result = evaluate(games);
    EXPECT_NEAR(result["score"].get<double>(), 50, 1e-6);
    EXPECT_EQ(result["battles"], 6);
    // The longest answer is no rating from 1 to 10.
    EXPECT_THROW(evaluate(ratings), comm::AgreedError);
}

TEST_F(Benchmarks, DataThatAreAbsentAreWrongUse) {
    static constexpr BenchmarkRow row = trivia(Scoring::win_rate);
    try {
        evaluate(row, {"--version", "none"});
        FAIL();
    } catch (const comm::AgreedError& error) {
        EXPECT_EQ(error.status(), ExitStatus::wrong_use);
        EXPECT_NE(std::string(error.what()).find("none.jsonl"), std::string::npos);
    }
}

}  // namespace
}  // namespace popalign::app
