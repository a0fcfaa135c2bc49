#include <popalign/record/verdict_summary.hpp>

#include <gtest/gtest.h>

#include <vector>

namespace popalign {
namespace {

void add(std::vector<Verdict>& verdicts, std::uint64_t pair, double first, double second) {
    verdicts.push_back({pair, 0, AnswerOrder::chosen_first, VerdictLabel::tie, first, "", true});
    verdicts.push_back({pair, 0, AnswerOrder::rejected_first, VerdictLabel::tie, second, "", true});
}

TEST(VerdictSummary, OrdersAreAveragedAndTiesCountHalf) {
    std::vector<Verdict> verdicts;
    add(verdicts, 0, 0.9, 0.8);        // chosen in both orders
    add(verdicts, 1, 0.9, 0.3);        // a place preferred; chosen on average
    add(verdicts, 2, 0.7, 1.0 - 0.7);  // only the place counts: a tie
    add(verdicts, 3, 0.1, 0.2);        // rejected
    const VerdictSummary summary = summarise_verdicts(verdicts);
    EXPECT_EQ(summary.n, 4U);
    EXPECT_EQ(summary.n_valid, 4U);
    EXPECT_EQ(summary.ties, 1U);
    EXPECT_DOUBLE_EQ(summary.accuracy, 2.5 / 4);
    EXPECT_DOUBLE_EQ(summary.position_consistency, 0.5);
    EXPECT_LT(summary.lower, summary.accuracy);
    EXPECT_GT(summary.upper, summary.accuracy);
}

TEST(VerdictSummary, PairsWithoutBothOrdersAreCountedButNotScored) {
    std::vector<Verdict> verdicts;
    add(verdicts, 0, 0.9, 0.9);
    add(verdicts, 1, 0.9, 0.9);
    verdicts.back().parsed = false;
    const VerdictSummary summary = summarise_verdicts(verdicts);
    EXPECT_EQ(summary.n, 2U);
    EXPECT_EQ(summary.n_valid, 1U);
    EXPECT_EQ(summarise_verdicts({}).n, 0U);
}

}  // namespace
}  // namespace popalign
