#include "support/test_files.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/gzip.hpp>
#include <popalign/base/logistic_regression.hpp>
#include <popalign/evaluation/bradley_terry.hpp>
#include <popalign/store/rows/csv.hpp>
#include <popalign/store/rows/json_rows.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <support/temporary_directory.hpp>

#include <cmath>
#include <fstream>
#include <map>
#include <set>

namespace popalign::evaluation {
namespace {

namespace fs = std::filesystem;

struct PublishedRating {
    double rating, lower, upper;
    std::vector<double> bootstraps;
};

std::map<std::string, PublishedRating> published_ratings(const fs::path& folder) {
    const fs::path path = folder / "bootstrap_stats_bt.jsonl";
    const std::string text = read_text_or_gzip(path);
    std::map<std::string, PublishedRating> ratings;
    store::visit_json_rows(text, path.native(), [&](const nlohmann::json& row) {
        ratings[row.at("model")] = {row.at("score"), row.at("lower"), row.at("upper"),
                                    row.at("results").get<std::vector<double>>()};
    });
    return ratings;
}

TEST(Arena, PublishedRatingsGiveThePublishedScoresAndIntervals) {
    const fs::path folder = test::published_file("arena_hard");
    POPALIGN_NEEDS(folder);
    const auto ratings = published_ratings(folder);
    const auto& baseline = ratings.at("gpt-4-0314");
    const fs::path path = folder / "arena_hard_leaderboard_20240731.csv";
    const store::CsvTable board(read_text_or_gzip(path), path.native());
    int compared = 0;
    for (std::size_t i = 0; i < board.size(); ++i) {
        const auto found = ratings.find(board.text(i, board.column("model")));
        if (found == ratings.end())
            continue;
        ++compared;
        const PublishedRating& model = found->second;
        EXPECT_NEAR(arena_score(model.rating, baseline.rating),
                    board.number(i, board.column("score")), 0.01)
            << found->first;
        const Interval of_ratings = percentile_interval(model.bootstraps);
        EXPECT_NEAR(of_ratings.lower, model.lower, 1e-6) << found->first;
        EXPECT_NEAR(of_ratings.upper, model.upper, 1e-6) << found->first;
    }
    EXPECT_EQ(compared, 23);
}

bool overlap(const Interval& a, const Interval& b) {
    return a.lower <= b.upper && b.lower <= a.upper;
}

/// The leaderboard's scores with their intervals.
std::map<std::string, std::pair<double, Interval>> published_scores(const fs::path& folder) {
    const fs::path path = folder / "arena_hard_leaderboard_20240731.csv";
    const store::CsvTable board(read_text_or_gzip(path), path.native());
    std::map<std::string, std::pair<double, Interval>> scores;
    for (std::size_t i = 0; i < board.size(); ++i)
        scores[board.text(i, board.column("model"))] = {
            board.number(i, board.column("score")),
            {board.number(i, board.column("rating_q025")),
             board.number(i, board.column("rating_q975"))}};
    return scores;
}

TEST(Arena, SeededIntervalsOfAsManyGamesOverlapThePublishedOnes) {
    const fs::path folder = test::published_file("arena_hard");
    POPALIGN_NEEDS(folder);
    // 500 questions in two orders; a third of the verdicts, about, are significant: three games.
    constexpr std::size_t games = 1700;
    int compared = 0;
    double width = 0, published_width = 0;
    for (const auto& [model, published] : published_scores(folder)) {
        if (model == "gpt-4-0314")
            continue;
        const auto& [score, interval] = published;
        const RandomStream stream(0, model, "arena games");
        BattleSet set;
        const auto baseline = set.model("gpt-4-0314"), other = set.model(model);
        for (std::size_t i = 0; i < games; ++i)
            set.battles.push_back(
                {i, baseline, other, 100 * stream.uniform(i) < score ? 0.0 : 1.0});
        ArenaOptions options;
        options.baseline = "gpt-4-0314";
        const ArenaScore made = score_arena(set, options).at(other);
        EXPECT_TRUE(overlap(made.interval, interval))
            << model << ": " << made.interval.lower << " to " << made.interval.upper << " beside "
            << interval.lower << " to " << interval.upper;
        width += made.interval.upper - made.interval.lower;
        published_width += interval.upper - interval.lower;
        ++compared;
    }
    EXPECT_EQ(compared, 59);
    EXPECT_NEAR(width / published_width, 1, 0.1);
}

/// The chance to beat another model, from both ones' scores against a third [%].
double against(double score, double other) {
    return arena_score(400 * std::log10(score / (100 - score)),
                       400 * std::log10(other / (100 - other)));
}

TEST(Arena, SeededIntervalsOfRealBattlesOverlapThePublishedOnes) {
    const fs::path folder = test::published_file("arena_hard");
    POPALIGN_NEEDS(folder);
    const auto published = published_scores(folder);
    const std::map<std::string, std::string> names{{"gpt-4o", "gpt-4o-2024-05-13"},
                                                   {"gpt-4o-mini", "gpt-4o-mini-2024-07-18"}};
    const auto& [base, base_interval] = published.at("claude-3-haiku-20240307");
    ArenaOptions options;
    options.baseline = "claude-3-haiku-20240307";
    std::set<std::string> apart;
    for (const ArenaScore& made :
         score_arena(read_battles(folder / "battles_2136.jsonl"), options)) {
        if (made.model == options.baseline)
            continue;
        const auto name = names.find(made.model);
        const auto& [score, interval] =
            published.at(name == names.end() ? made.model : name->second);
        if (!overlap(made.interval, {against(interval.lower, base_interval.upper),
                                     against(interval.upper, base_interval.lower)}))
            apart.insert(made.model);
    }
    // These battles are of 120 questions and against another baseline than the published scores:
    // there Opus is better than the leaderboard has it.
    EXPECT_EQ(apart, std::set<std::string>{"claude-3-opus-20240229"});
}

TEST(Arena, FittedScoreIsTheMeanWinRate) {
    const fs::path folder = test::published_file("arena_hard");
    POPALIGN_NEEDS(folder);
    const BattleSet set = read_battles(folder / "battles_2136.jsonl");
    ASSERT_EQ(set.battles.size(), 2136U);
    ArenaOptions options;
    options.baseline = "claude-3-haiku-20240307";
    const auto scores = score_arena(set, options);
    EXPECT_EQ(scores.size(), 5U);
    const auto again = score_arena(set, options);
    for (std::size_t s = 0; s < scores.size(); ++s) {
        EXPECT_EQ(scores[s].interval.lower, again[s].interval.lower);
        EXPECT_EQ(scores[s].interval.upper, again[s].interval.upper);
    }
    for (const ArenaScore& score : scores) {
        double wins = 0, battles = 0;
        for (const Battle& battle : set.battles)
            if (set.models[battle.second] == score.model) {
                wins += 1 - battle.first_wins;
                battles += 1;
            }
        if (score.model == options.baseline) {
            EXPECT_EQ(score.score, 50);
            continue;
        }
        EXPECT_NEAR(score.score, 100 * wins / battles, 1e-4) << score.model;
        EXPECT_LT(score.interval.lower, score.score);
        EXPECT_GT(score.interval.upper, score.score);
        EXPECT_LT(score.interval.upper - score.interval.lower, 12);
    }
}

/// Battles whose ends follow known strengths.
BattleSet simulated(std::uint64_t seed, std::span<const double> strengths, std::size_t rounds,
                    double length_bias = 0) {
    const RandomStream stream(seed, "arena", "simulation");
    BattleSet set;
    for (std::size_t m = 0; m < strengths.size(); ++m)
        set.model("model-" + std::to_string(m));
    std::uint64_t draw = 0;
    for (std::size_t q = 0; q < rounds; ++q)
        for (std::size_t a = 0; a < strengths.size(); ++a)
            for (std::size_t b = a + 1; b < strengths.size(); ++b) {
                const double length_a = 500 + 500 * stream.uniform(draw++) + 400 * double(a == 1);
                const double length_b = 500 + 500 * stream.uniform(draw++) + 400 * double(b == 1);
                const double more = (length_a - length_b) / (length_a + length_b);
                const double p = logistic(strengths[a] - strengths[b] + length_bias * more);
                set.battles.push_back({q, a, b, stream.uniform(draw++) < p ? 1.0 : 0.0,
                                       AnswerStyle{length_a, 1, 2, 3},
                                       AnswerStyle{length_b, 1, 2, 3}});
            }
    return set;
}

TEST(BradleyTerry, RecoversStrengths) {
    const std::vector<double> strengths{0, 1, -0.5, 2};
    const BattleSet set = simulated(1, strengths, 4000);
    const auto fitted = bradley_terry(set, 0, std::vector<double>(set.battles.size(), 1.0));
    for (std::size_t m = 0; m < strengths.size(); ++m)
        EXPECT_NEAR(fitted[m], strengths[m], 0.08) << m;
}

TEST(BradleyTerry, StyleControlTakesLengthOut) {
    const std::vector<double> strengths{0, 0, 0};
    const BattleSet set = simulated(2, strengths, 3000, 4);
    const std::vector<double> once(set.battles.size(), 1.0);
    const auto plain = bradley_terry(set, 0, once);
    const auto controlled = bradley_terry(set, 0, once, StyleControl::length_and_markdown);
    EXPECT_GT(plain[1], 0.5);  // the long-winded one seems strong
    for (const double strength : controlled)
        EXPECT_NEAR(strength, 0, 0.12);
    BattleSet bare = set;
    bare.battles.front().first_style.reset();
    EXPECT_THROW(bradley_terry(bare, 0, once, StyleControl::length_and_markdown), UsageError);
}

TEST(BradleyTerry, WithoutALossTheScoreIsAHundredAndIslandsHaveNone) {
    BattleSet set;
    const auto a = set.model("a"), b = set.model("b"), c = set.model("c"), d = set.model("d");
    for (std::size_t i = 0; i < 20; ++i) {
        set.battles.push_back({i, a, b, 0});
        set.battles.push_back({i, c, d, 1});
    }
    ArenaOptions options;
    options.baseline = "a";
    options.unit = ResampledUnit::question;
    const auto scores = score_arena(set, options);
    ASSERT_EQ(scores.size(), 2U);
    EXPECT_NEAR(scores[1].score, 100, 1e-6);
    options.baseline = "nobody";
    EXPECT_THROW(score_arena(set, options), UsageError);
}

TEST(Battles, AreRefusedIfMalformed) {
    const test::TemporaryDirectory directory;
    const fs::path path = directory.path() / "battles.jsonl";
    for (const char* row : {R"({"question_id":1,"model_a":"a","model_b":"b","winner":"c"})",
                            R"({"question_id":1,"model_a":"a","model_b":"a","winner":"tie"})",
                            R"({"model_a":"a","model_b":"b","winner":"tie"})", "[1]", "{"}) {
        std::ofstream(path) << row;
        EXPECT_THROW(read_battles(path), InputError) << row;
    }
}

TEST(AnswerStyle, CountsMarkdownOutsideOfCode) {
    const AnswerStyle style = style_of(
        "# Title\n\nSome **bold** and __more__ words.\n1. one\n - two\n* three\n```\n# no\n- "
        "no\n```\n"
        "#hashtag\n3.14 is no item");
    EXPECT_EQ(style.headers, 1);
    EXPECT_EQ(style.bold, 2);
    EXPECT_EQ(style.lists, 3);
    EXPECT_EQ(style_of("é").length, 1);
}

}  // namespace
}  // namespace popalign::evaluation
