#include "evaluation/benchmark_scores.hpp"
#include "support/test_files.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/logistic_regression.hpp>
#include <popalign/base/random.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/evaluation/benchmark_table.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <support/temporary_directory.hpp>

#include <cmath>
#include <set>

namespace popalign::evaluation {
namespace {

Benchmark load(std::string_view name, const std::string& version = "") {
    const auto rows = benchmark_table();
    const auto row = std::ranges::find(rows, name, &BenchmarkRow::name);
    return load_benchmark(*row, test::published_file(row->folder), version);
}

TEST(Benchmark, ThePublicOnesAreReadWhole) {
    POPALIGN_NEEDS(test::published_file("mt_bench"));
    const Benchmark alpaca = load("alpaca-eval");
    EXPECT_EQ(alpaca.items.size(), 805U);
    EXPECT_EQ(alpaca.baseline_name, "gpt4_1106_preview");
    EXPECT_TRUE(alpaca.items.front().baseline.has_value());
    ASSERT_TRUE(alpaca.length_control.has_value());
    EXPECT_EQ(load("arena-hard", "v0.1").items.size(), 500U);
    EXPECT_EQ(load("arena-hard", "v2.0").items.size(), 750U);
    EXPECT_THROW(load("arena-hard", "v7"), InputError);
    const Benchmark hh = load("hh-rlhf");
    EXPECT_EQ(hh.items.size() + hh.left_out, 2312U + 2354U);
    EXPECT_LE(hh.left_out, 10U);
    Benchmark mt = load("mt-bench");
    ASSERT_EQ(mt.items.size(), 80U);
    std::set<std::string> with_reference;
    for (const BenchmarkItem& item : mt.items) {
        EXPECT_EQ(item.turns.size(), 2U);
        if (!item.references.empty())
            with_reference.insert(item.category);
    }
    EXPECT_EQ(with_reference, (std::set<std::string>{"coding", "math", "reasoning"}));
    EXPECT_EQ(mt.items.front().temperature, 0.7);  // writing
    keep_first(mt.items, 1);
    EXPECT_EQ(mt.items.size(), 8U);
}

TEST(Benchmark, TheTableHasEachNameAndFolderOnce) {
    std::set<std::string_view> names, folders;
    for (const BenchmarkRow& row : benchmark_table()) {
        EXPECT_TRUE(names.insert(row.name).second && folders.insert(row.folder).second) << row.name;
        EXPECT_FALSE(row.summary.empty() || row.judge_template.empty()) << row.name;
    }
}

TEST(Benchmark, AnswersOfABaselineNeedItsName) {
    const auto load = [](const std::filesystem::path&, const std::string&, Benchmark& benchmark) {
        benchmark.items.push_back({.id = "1", .category = "", .turns = {"q"}, .baseline = "a"});
    };
    EXPECT_THROW(load_benchmark({"x", "", "x", Scoring::win_rate, "contrast", load}, "x"),
                 InputError);
}

TEST(Benchmark, ItemsTravelWhole) {
    const BenchmarkItem item{
        "id", "math", {{Role::assistant, "before"}}, {"a", "b"}, {"r", "s"}, "baseline", 0.7};
    EXPECT_EQ(comm::from_bytes<BenchmarkItem>(comm::to_bytes(item)), item);
    const BenchmarkItem bare{.id = "id", .category = "", .turns = {"a"}};
    EXPECT_EQ(comm::from_bytes<BenchmarkItem>(comm::to_bytes(bare)), bare);
}

/// An item judged in both orders with these probabilities that the answer shown first is better.
JudgedItem judged(std::uint64_t position, double model_first, double model_last,
                  std::int64_t games = 1) {
    JudgedItem item{
        {std::to_string(position), "all", {}, {"q"}}, position, {"answer"}, {"base"}, {}};
    for (const double probability : {model_first, model_last}) {
        Judgement judgement = judgement_of(std::log(probability / (1 - probability)));
        judgement.games = games;
        item.judgements.push_back(judgement);
    }
    return item;
}

TEST(BenchmarkScores, BothOrdersAreAveraged) {
    const std::vector<JudgedItem> items{judged(0, 0.9, 0.3), judged(1, 0.4, 0.4)};
    const auto score = score_items(Scoring::length_controlled_win_rate, items, {"m", "b"});
    EXPECT_NEAR(score["win_rate"].get<double>(), 100 * (0.8 + 0.5) / 2, 1e-9);
    EXPECT_EQ(score["n_valid"], 2);
    EXPECT_TRUE(score["length_controlled_winrate"].is_null());
    const auto wins = score_items(Scoring::win_rate, items, {"m", "b"});
    EXPECT_EQ(wins["win_rate"], 0.75);
    EXPECT_EQ(wins["ties"], 1);
    const auto row = item_row(Scoring::win_rate, items[0]);
    EXPECT_NEAR(row["probability_baseline_first"].get<double>(), 0.7, 1e-9);
}

TEST(BenchmarkScores, ArenaHardIsTheWeightedMeanOfGames) {
    const std::vector<JudgedItem> items{judged(0, 0.9, 0.1, 3), judged(1, 0.2, 0.8),
                                        judged(2, 0.9, 0.9)};
    const auto score = score_items(Scoring::bradley_terry, items, {"m", "b"});
    EXPECT_EQ(score["battles"], 3 + 3 + 2 + 2);
    EXPECT_NEAR(score["score"].get<double>(), 100 * (6 + 0 + 1) / 10.0, 1e-6);
    EXPECT_EQ(score["n_valid"], 3);
}

TEST(BenchmarkScores, WhatIsLostIsCountedAndLeftOut) {
    std::vector<JudgedItem> items{judged(0, 0.9, 0.1), judged(1, 0.9, 0.1)};
    items[1].judgements[0].outcome = Outcome::abstained;
    items[1].judgements[1].outcome = Outcome::unparsed;
    for (const Scoring scoring :
         {Scoring::length_controlled_win_rate, Scoring::bradley_terry, Scoring::win_rate}) {
        const auto score = score_items(scoring, items, {"m", "b"});
        EXPECT_EQ(score["n"], 2);
        EXPECT_EQ(score["n_valid"], 1);
        EXPECT_EQ(score["dropped"]["abstained"], 1);
        EXPECT_EQ(score["dropped"]["unparsed"], 1);
    }
}

TEST(BenchmarkScores, RatingsAreMeansByTurnAndCategory) {
    std::vector<JudgedItem> items;
    for (std::uint64_t i = 0; i < 4; ++i) {
        JudgedItem item{
            {std::to_string(i), i < 2 ? "math" : "stem", {}, {"a", "b"}}, i, {"x", "y"}, {}, {}};
        for (const double rating : {4.0 + static_cast<double>(i), 8.0}) {
            Judgement judgement;
            judgement.outcome = Outcome::first;
            judgement.rating = rating;
            item.judgements.push_back(judgement);
        }
        items.push_back(item);
    }
    items[3].judgements[1] = Judgement();
    const auto score = score_items(Scoring::rating, items, {"m", ""});
    EXPECT_NEAR(score["score"].get<double>(), (4 + 5 + 6 + 7 + 3 * 8) / 7.0, 1e-12);
    EXPECT_NEAR(score["turns"][0]["score"].get<double>(), 5.5, 1e-12);
    EXPECT_NEAR(score["turns"][1]["score"].get<double>(), 8, 1e-12);
    EXPECT_NEAR(score["categories"]["math"]["score"].get<double>(), 25 / 4.0, 1e-12);
    EXPECT_EQ(score["n_valid"], 7);
    EXPECT_EQ(score["n"], 4);
    EXPECT_EQ(score["dropped"]["unparsed"], 1);
}

}  // namespace
}  // namespace popalign::evaluation
