#include "lm/judge/judgement_cache.hpp"

#include <popalign/base/error.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/judge/judging.hpp>

#include <gtest/gtest.h>
#include <support/temporary_directory.hpp>
#include <support/world.hpp>

#include <algorithm>
#include <fstream>

namespace popalign::lm {
namespace {

using test::world;

JudgeSpec baseline(const std::string& name) {
    return {name, std::nullopt, {}};
}

JudgingOptions options(const std::filesystem::path& journals = {}) {
    JudgingOptions made;
    made.run.ranks = ModelRanks(world(), 1);
    made.run.logger = Logger(world().rank(), world().size(), LogLevel::error);
    made.journals = journals;
    return made;
}

/// Some queries of every rank, the first of them the same on all.
std::vector<JudgeQuery> queries() {
    std::vector<JudgeQuery> made{{"shared", "long answer", "short"},
                                 {"shared", "short", "long answer"}};
    for (int i = 0; i < 5; ++i)
        made.push_back({"rank " + std::to_string(world().rank()) + " asks " + std::to_string(i),
                        std::string(static_cast<std::size_t>(3 + i), 'x'), "yyyyy"});
    return made;
}

TEST(Judging, AnswersInOrderAndJudgesNothingTwice) {
    const test::TemporaryDirectory directory;
    const auto mine = queries();
    const auto ranks = static_cast<std::uint64_t>(world().size());
    JudgingReport report;
    const auto made = judge_queries(baseline("longest"), {"m", "t"}, mine,
                                    options(directory / "verdicts"), &report);
    ASSERT_EQ(made.size(), mine.size());
    EXPECT_EQ(report.asked, 7 * ranks);
    EXPECT_EQ(report.distinct, 2 + 5 * ranks);
    EXPECT_EQ(report.judged, report.distinct);
    EXPECT_EQ(report.known, 0U);
    for (std::size_t i = 0; i < mine.size(); ++i) {
        const auto expected = mine[i].first.size() > mine[i].second.size()   ? Outcome::first
                              : mine[i].first.size() < mine[i].second.size() ? Outcome::second
                                                                             : Outcome::tie;
        ASSERT_TRUE(made[i].has_value());
        EXPECT_EQ(made[i]->outcome, expected) << i;
    }
    const auto again = judge_queries(baseline("longest"), {"m", "t"}, mine,
                                     options(directory / "verdicts"), &report);
    EXPECT_EQ(report.known, report.distinct);
    EXPECT_EQ(report.judged, 0U);
    EXPECT_EQ(again, made);
    judge_queries(baseline("longest"), {"m", "another template"}, mine,
                  options(directory / "verdicts"), &report);
    EXPECT_EQ(report.known, 0U);
}

TEST(Judging, KeepsWhatWasJournalledBeforeAKill) {
    const test::TemporaryDirectory directory;
    const auto folder = directory / "verdicts";
    const auto mine = queries();
    judge_queries(baseline("longest"), {"m", "t"}, mine, options(folder));
    comm::run_on_all(world(), [&] {  // a record that a killed writer left unfinished
        if (world().is_root())
            std::ofstream(folder / "rank-000000.journal", std::ios::app) << "torn";
    });
    JudgingReport report;
    judge_queries(baseline("longest"), {"m", "t"}, mine, options(folder), &report);
    EXPECT_EQ(report.judged, 0U);
}

TEST(Judging, TheRandomJudgeIsSeededAndKnowsNoAnswer) {
    const auto ask = [&](std::uint64_t seed) {
        std::vector<JudgeQuery> many;
        for (int i = 0; i < 400; ++i)
            many.push_back({std::to_string(i), "a", "b"});
        JudgingOptions made = options();
        made.run.seed = seed;
        return judge_queries(baseline("random"), {"m", "t"}, many, made);
    };
    const auto first = ask(1);
    EXPECT_EQ(first, ask(1));
    EXPECT_NE(first, ask(2));
    const auto ahead = std::ranges::count_if(
        first, [](const auto& judgement) { return judgement->outcome == Outcome::first; });
    EXPECT_NEAR(static_cast<double>(ahead), 200, 40);
}

TEST(Judging, AnUnknownJudgeIsNamed) {
    const auto mine = queries();
    try {
        judge_queries(baseline("wisest"), {"m", "t"}, mine, options());
        FAIL();
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("'wisest'"), std::string::npos);
        EXPECT_EQ(error.status(), ExitStatus::wrong_use);
    }
}

TEST(JudgementKey, DependsOnEveryPart) {
    const JudgeQuery query{"i", "a", "b"};
    const auto text = [](const JudgeKey& judge, const JudgeQuery& asked) {
        return judgement_key(judge, asked).text;
    };
    const JudgeKey key{"m", "t"};
    const std::string expected = text(key, query);
    EXPECT_EQ(expected, text(key, query));
    EXPECT_NE(expected, text(key, swapped(query)));
    EXPECT_NE(expected, text({"m2", "t"}, query));
    EXPECT_NE(expected, text({"m", "t2"}, query));
    EXPECT_NE(expected, text(key, {"ia", "", "b"}));
    JudgeQuery with_reference = query;
    with_reference.reference = "r";
    EXPECT_NE(expected, text(key, with_reference));
}

}  // namespace
}  // namespace popalign::lm
