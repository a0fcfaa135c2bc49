#include "support/test_files.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/gzip.hpp>
#include <popalign/evaluation/judge_validation.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <support/temporary_directory.hpp>

#include <fstream>

namespace popalign::evaluation {
namespace {

namespace fs = std::filesystem;

/// "95 / 100 = 95.0%"
double percentage(const std::string& text) {
    return std::stod(text.substr(text.rfind(' ') == std::string::npos ? 0 : text.rfind(' ') + 1));
}

TEST(JudgeValidation, GivesThePublishedWorthOfGpt4OnEverySubsetOfLlmBar) {
    for (const std::string subset : {"Natural", "Neighbor", "GPTInst", "GPTOut", "Manual"}) {
        const fs::path folder = test::published_file("judge_validation/llmbar") / subset;
        POPALIGN_NEEDS(folder);
        const auto pairs = read_labelled_pairs(folder / "dataset.json", "llmbar");
        const auto worth = worth_of(pairs, read_verdicts(folder / "result.json", pairs.size()), 0);
        const auto published = nlohmann::json::parse(read_text_or_gzip(folder / "statistics.json"));
        EXPECT_EQ(worth.n, worth.n_valid) << subset;
        EXPECT_NEAR(100 * worth.accuracy, percentage(published["correct_average"]), 0.1) << subset;
        EXPECT_NEAR(100 * worth.agreement, percentage(published["equal"]), 0.1) << subset;
        EXPECT_NEAR(100 * worth.accuracy_by_order[0], percentage(published["correct_False"]), 0.1);
        EXPECT_NEAR(100 * worth.accuracy_by_order[1], percentage(published["correct_True"]), 0.1);
        EXPECT_NEAR(worth.order_kappa, published["kappa_agreement"].get<double>(), 1e-9) << subset;
        EXPECT_LE(worth.interval.lower, worth.accuracy);
        EXPECT_GE(worth.interval.upper, worth.accuracy);
    }
}

TEST(JudgeValidation, ReadsEveryStoredVerdictAsItsAuthorsDid) {
    for (const std::string subset : {"Natural", "Neighbor", "GPTInst", "GPTOut", "Manual"}) {
        const fs::path path =
            test::published_file("judge_validation/llmbar") / subset / "result.json";
        POPALIGN_NEEDS(path);
        const auto rows = nlohmann::json::parse(read_text_or_gzip(path));
        const auto verdicts = read_verdicts(path, rows.size());
        for (std::size_t i = 0; i < rows.size(); ++i)
            for (const std::size_t order : {0U, 1U}) {
                const char* name = order == 0 ? "swap = False" : "swap = True";
                ASSERT_TRUE(verdicts[i][order].has_value());
                EXPECT_EQ(std::to_string(static_cast<int>(*verdicts[i][order])),
                          rows[i]["results"][0][name]["winner"].get<std::string>());
            }
    }
}

TEST(JudgeValidation, PandaLmsAnnotatorsHaveMajoritiesAndAgree) {
    const fs::path path = test::published_file("judge_validation/pandalm/testset-v1.json");
    POPALIGN_NEEDS(path);
    const auto pairs = read_labelled_pairs(path, "pandalm");
    const PeopleAgreement people = agreement_of_people(pairs);
    EXPECT_EQ(people.n, 999U);
    EXPECT_EQ(people.people, 3U);
    EXPECT_EQ(people.with_majority, 999U);
    EXPECT_EQ(people.unanimous, 426U + 368U + 85U);
    // Counted from the file by hand: of the triples that are not unanimous, two agree.
    const auto rows = nlohmann::json::parse(read_text_or_gzip(path));
    std::array<std::uint64_t, 3> majority{};
    for (const auto& row : rows) {
        std::array<int, 3> votes{};
        for (const char* person : {"annotator1", "annotator2", "annotator3"})
            ++votes[row[person].get<std::size_t>()];
        ++majority[static_cast<std::size_t>(std::ranges::max_element(votes) - votes.begin())];
    }
    EXPECT_EQ(people.majority, majority);
    EXPECT_NEAR(people.agreement, (879 + 120 / 3.0) / 999, 1e-12);
    EXPECT_NEAR(people.kappa, 0.863, 0.005);
}

TEST(JudgeValidation, LeavesOutWhatCannotBeCompared) {
    const LabelledPair clear{"i", "a", "b", {Choice::first}};
    const LabelledPair open{"i", "a", "b", {Choice::first, Choice::second, Choice::tie}};
    const std::vector<LabelledPair> pairs{clear, clear, clear, open};
    const std::vector<OrderedChoices> verdicts{{Choice::first, Choice::first},
                                               {Choice::first, Choice::second},
                                               {Choice::first, std::nullopt},
                                               {Choice::first, Choice::first}};
    const JudgeWorth worth = worth_of(pairs, verdicts, 0);
    EXPECT_EQ(worth.n, 4U);
    EXPECT_EQ(worth.n_valid, 2U);
    EXPECT_EQ(worth.unparsed, 1U);
    EXPECT_EQ(worth.without_majority, 1U);
    EXPECT_DOUBLE_EQ(worth.accuracy, 0.75);
    EXPECT_DOUBLE_EQ(worth.agreement, 0.5);
}

TEST(JudgeValidation, ReadsItsOwnRowsAndRefusesOthers) {
    const test::TemporaryDirectory directory;
    const fs::path path = directory.path() / "verdicts.jsonl";
    std::ofstream(path) << R"({"index":0,"order":0,"winner":1})"
                        << "\n"
                        << R"({"index":0,"order":1,"winner":null})"
                        << "\n";
    const auto verdicts = read_verdicts(path, 1);
    EXPECT_EQ(verdicts[0][0], Choice::first);
    EXPECT_FALSE(verdicts[0][1].has_value());
    for (const char* row : {R"({"index":1,"order":0,"winner":1})", R"({"index":0,"order":0})",
                            R"({"index":0,"order":0,"winner":3})", R"({"results":[]})"}) {
        std::ofstream(path) << row;
        EXPECT_THROW(read_verdicts(path, 1), InputError) << row;
    }
}

}  // namespace
}  // namespace popalign::evaluation
