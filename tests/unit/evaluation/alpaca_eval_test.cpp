#include "support/test_files.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/gzip.hpp>
#include <popalign/base/logistic_regression.hpp>
#include <popalign/base/random.hpp>
#include <popalign/base/resampling.hpp>
#include <popalign/evaluation/alpaca_annotations.hpp>
#include <popalign/store/rows/csv.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <support/temporary_directory.hpp>

#include <cmath>
#include <fstream>

namespace popalign::evaluation {
namespace {

namespace fs = std::filesystem;

struct Published {
    double win_rate, standard_error, length_controlled;
    std::int64_t average_length;
};

std::map<std::string, Published> leaderboard(const fs::path& folder) {
    const fs::path path =
        folder / "leaderboards/data_AlpacaEval_2/weighted_alpaca_eval_gpt4_turbo_leaderboard.csv";
    const store::CsvTable table(read_text_or_gzip(path), path.native());
    std::map<std::string, Published> models;
    for (std::size_t i = 0; i < table.size(); ++i)
        models[table.text(i, 0)] = {
            table.number(i, table.column("win_rate")),
            table.number(i, table.column("standard_error")),
            table.text(i, table.column("length_controlled_winrate")).empty()
                ? std::nan("")
                : table.number(i, table.column("length_controlled_winrate")),
            static_cast<std::int64_t>(table.number(i, table.column("avg_length")))};
    return models;
}

TEST(AlpacaEval, GivesThePublishedFiguresOfEveryModel) {
    const fs::path folder = test::published_file("alpaca_eval");
    POPALIGN_NEEDS(folder);
    const auto published = leaderboard(folder);
    const LengthControlData data = load_length_control(folder);
    ASSERT_EQ(data.difficulty.size(), 805U);
    ASSERT_EQ(data.gamed.size(), 1610U);
    std::vector<double> differences;
    const auto models = read_alpaca_annotations(folder / "annotations_compact_dev.csv.gz");
    EXPECT_EQ(models.size(), 29U);
    for (const auto& [model, annotations] : models) {
        const AlpacaScore score = score_alpaca_eval(annotations.rows, &data);
        const Published& expected = published.at(model);
        EXPECT_NEAR(score.plain.value, expected.win_rate, 1e-6) << model;
        EXPECT_NEAR(score.plain.standard_error, expected.standard_error, 1e-6) << model;
        if (score.n == data.difficulty.size()) {  // published lengths are of unjudged answers too
            EXPECT_EQ(score.average_length, expected.average_length) << model;
        }
        if (std::isnan(expected.length_controlled))
            continue;
        differences.push_back(
            std::abs(score.length_controlled->value - expected.length_controlled));
        EXPECT_LE(differences.back(), 0.1) << model;
    }
    EXPECT_GE(differences.size(), 25U);
    EXPECT_LE(quantile(differences, 0.5), 0.04);
}

/// Of one model's raw annotations, with and without the stated preferences.
void expect_same_from_log_probabilities(const std::string& model) {
    const fs::path folder = test::published_file("alpaca_eval");
    POPALIGN_NEEDS(folder);
    const auto raw =
        nlohmann::json::parse(read_text_or_gzip(folder / ("annotations/" + model + ".json")));
    const test::TemporaryDirectory directory;
    const fs::path bare = directory.path() / "bare.json";
    auto stripped = raw;
    for (auto& row : stripped)
        if (row.contains("raw_completion") && row["raw_completion"].is_object())
            row.erase("preference");
    std::ofstream(bare) << stripped;
    const auto stated = read_alpaca_annotations(folder / ("annotations/" + model + ".json"));
    const auto computed = read_alpaca_annotations(bare);
    const auto& a = stated.at(model);
    const auto& b = computed.at(model);
    EXPECT_EQ(a.contradicted, 0U);
    EXPECT_EQ(a.without_preference + b.without_preference, 0U);
    ASSERT_EQ(a.rows.size(), b.rows.size());
    for (std::size_t i = 0; i < a.rows.size(); ++i) {
        EXPECT_NEAR(a.rows[i].preference, b.rows[i].preference, 1e-12) << i;
        EXPECT_NEAR(a.rows[i].preference, raw[i]["preference"].get<double>(), 1e-9) << i;
    }
    const LengthControlData data = load_length_control(folder);
    const Published expected = leaderboard(folder).at(model);
    const AlpacaScore score = score_alpaca_eval(b.rows, &data);
    EXPECT_NEAR(score.plain.value, expected.win_rate, 1e-6);
    EXPECT_NEAR(score.plain.standard_error, expected.standard_error, 1e-6);
    EXPECT_NEAR(score.length_controlled->value, expected.length_controlled, 0.1);
}

TEST(AlpacaEval, ReadsPreferencesFromLogProbabilitiesOfClaude) {
    expect_same_from_log_probabilities("claude-2.1");
}
TEST(AlpacaEval, ReadsPreferencesFromLogProbabilitiesOfPhi) {
    expect_same_from_log_probabilities("phi-2");
}

TEST(AlpacaEval, CompactRowsAreTheRawAnnotations) {
    const fs::path folder = test::published_file("alpaca_eval");
    POPALIGN_NEEDS(folder);
    const auto compact = read_alpaca_annotations(folder / "annotations_compact_dev.csv.gz");
    const auto raw = read_alpaca_annotations(folder / "annotations/claude-2.1.json");
    const auto& a = compact.at("claude-2.1").rows;
    const auto& b = raw.at("claude-2.1").rows;
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
        EXPECT_EQ(a[i].position, b[i].position);
        EXPECT_EQ(a[i].length_1, b[i].length_1) << i;
        EXPECT_EQ(a[i].length_2, b[i].length_2) << i;
        EXPECT_NEAR(a[i].preference, b[i].preference, 1e-9) << i;
    }
}

TEST(AlpacaEval, TiesAndMissingPreferencesAreTheirOwn) {
    EXPECT_EQ(win_of(0), 0.5);
    EXPECT_EQ(win_of(1.5), 0.5);
    EXPECT_EQ(win_of(2), 1);
    EXPECT_EQ(win_of(1), 0);
    const test::TemporaryDirectory directory;
    const fs::path path = directory.path() / "annotations.jsonl";
    std::ofstream(path)
        << R"({"instruction":"a","output_1":"é","output_2":"bb","generator_2":"x","preference":null})"
        << "\n"
        << R"({"instruction":"b","output_1":"\u2028","output_2":"bb","generator_2":"x","preference":2})"
        << "\n";
    const auto models = read_alpaca_annotations(path);
    EXPECT_EQ(models.at("x").without_preference, 1U);
    ASSERT_EQ(models.at("x").rows.size(), 1U);
    EXPECT_EQ(models.at("x").rows[0].position, 1U);
    EXPECT_EQ(models.at("x").rows[0].length_1, 1);
    std::ofstream(path) << R"({"instruction":"a","output_1":3})";
    EXPECT_THROW(read_alpaca_annotations(path), InputError);
    std::ofstream(path) << "model,row,len_output_1,len_output_2,preference\nx,0,1,2,seven\n";
    EXPECT_THROW(read_alpaca_annotations(path), InputError);
}

struct SimulatedJudge {
    double right = 0.75;     ///< how often, of answers of equal length and no difficulty
    double length_bias = 0;  ///< its log-odds for a longer answer, at most
};

/// Verdicts of the judge on every item of `data`.
std::vector<AlpacaRow> simulated(std::uint64_t seed, const SimulatedJudge& judge,
                                 const LengthControlData& data) {
    const RandomStream stream(seed, "alpaca", "simulation");
    std::vector<AlpacaRow> rows;
    const double skill = std::log(judge.right / (1 - judge.right));
    for (std::size_t i = 0; i < data.difficulty.size(); ++i) {
        const double longer = 400 * std::sqrt(-2 * std::log(1 - stream.uniform(3 * i))) *
                              std::cos(6.283185307179586 * stream.uniform(3 * i + 1));
        const double p =
            logistic(skill + data.difficulty[i] + judge.length_bias * std::tanh(longer / 400));
        rows.push_back({i, 1000, 1000 + longer, stream.uniform(3 * i + 2) < p ? 2.0 : 1.0});
    }
    return rows;
}

LengthControlData equally_difficult(std::size_t items) {
    LengthControlData data;
    data.difficulty.assign(items, 0);
    return data;
}

struct Coverage {
    int first_100 = 0, all = 0;
    void add(int simulation, bool covers) {
        first_100 += covers && simulation < 100 ? 1 : 0;
        all += covers ? 1 : 0;
    }
};

TEST(AlpacaEval, IntervalsOfPlainAndLengthControlledRatesHoldTheTruth) {
    const LengthControlData data = equally_difficult(805);
    Coverage plain, controlled;
    double plain_with_bias = 0, controlled_with_bias = 0;
    constexpr int runs = 1000;
    for (int run = 0; run < runs; ++run) {
        const auto seed = static_cast<std::uint64_t>(run);
        const Estimate fair = plain_win_rate(simulated(seed, {0.75, 0}, data));
        plain.add(run, std::abs(fair.value - 75) <= 1.96 * fair.standard_error);
        const auto biased = simulated(seed, {0.75, 1}, data);
        const Interval interval = length_controlled_interval(biased, data);
        controlled.add(run, interval.lower <= 75 && 75 <= interval.upper);
        plain_with_bias += plain_win_rate(biased).value / runs;
        controlled_with_bias += length_controlled_win_rate(biased, data).value / runs;
    }
    EXPECT_GE(plain.first_100, 95);
    EXPECT_GE(controlled.first_100, 95);
    EXPECT_NEAR(plain.all, 950, 21);  // three standard errors
    EXPECT_NEAR(controlled.all, 950, 21);
    EXPECT_NEAR(controlled_with_bias, 75, 0.15);  // the penalty shrinks a little
    EXPECT_GT(std::abs(plain_with_bias - 75), 1);
}

int covered(const SimulatedJudge& judge, const LengthControlData& data, double truth) {
    int count = 0;
    for (std::uint64_t seed = 0; seed < 1000; ++seed) {
        const Interval interval = length_controlled_interval(simulated(seed, judge, data), data);
        count += interval.lower <= truth && truth <= interval.upper ? 1 : 0;
    }
    return count;
}

TEST(AlpacaEval, IntervalsHoldTheTruthOfFewItemsAndOfRatesNearTheEnds) {
    EXPECT_NEAR(covered({0.5, 1}, equally_difficult(805), 50), 950, 21);
    EXPECT_NEAR(covered({0.95, 1}, equally_difficult(805), 95), 950, 21);
    EXPECT_NEAR(covered({0.5, 1}, equally_difficult(100), 50), 950, 21);
    // Five losses: a basic bootstrap holds it 815 times.
    EXPECT_GE(covered({0.95, 1}, equally_difficult(100), 95), 900);
}

TEST(AlpacaEval, IntervalsHoldTheTruthOfTheRealDifficultiesAndGamedRows) {
    const fs::path folder = test::published_file("alpaca_eval");
    POPALIGN_NEEDS(folder);
    const LengthControlData data = load_length_control(folder);
    double truth = 0;
    for (const double difficulty : data.difficulty)
        truth += 100 * logistic(std::log(3.0) + difficulty) / 805;
    // The items are the same ones in all simulations, and the interval is of any such items.
    const int count = covered({0.75, 1}, data, truth);
    EXPECT_GE(count, 950);
    EXPECT_LE(count, 990);
}

}  // namespace
}  // namespace popalign::evaluation
