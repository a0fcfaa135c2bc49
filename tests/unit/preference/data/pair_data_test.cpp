#include "preference/data/pair_data.hpp"

#include "support/temporary_directory.hpp"
#include "support/world.hpp"
#include "unit/preference/tiny_run.hpp"

#include <popalign/base/error.hpp>
#include <popalign/store/pairs/pair_update.hpp>

#include <gtest/gtest.h>

#include <cmath>

namespace popalign::preference {
namespace {

using test::world;

class PairDataTest : public ::testing::Test {
  protected:
    PairDataTest() { test::write_tiny_pairs(world(), path()); }

    std::filesystem::path path() const { return directory_ / "pairs.h5"; }
    PairData open(const comm::Communicator& comm, const PairSelection& selection,
                  const TokenLimits& limits = {}) const {
        return open_pair_data(comm, path(), front_end_, selection, limits);
    }

    test::TemporaryDirectory directory_;
    lm::ModelFrontEnd front_end_ = test::byte_front_end();
};

TEST_F(PairDataTest, SelectsBySplitFlagsAndStrategies) {
    EXPECT_EQ(open(world(), {Split::train, {"identical"}, {}}).size(), 15u);
    EXPECT_EQ(open(world(), {Split::train, {}, {}}).size(), 16u);
    EXPECT_EQ(open(world(), {Split::train, {}, {"good"}}).size(), 8u);
    EXPECT_EQ(open(world(), {Split::held_out, {}, {}}).rows,
              (std::vector<std::uint64_t>{16, 17, 18, 19}));
}

TEST_F(PairDataTest, IsTheSameOnAnyNumberOfRanks) {
    const PairData together = open(world(), {Split::train, {"identical"}, {}});
    const PairData alone = open(comm::Communicator(), {Split::train, {"identical"}, {}});
    EXPECT_EQ(together.rows, alone.rows);
    EXPECT_EQ(together.digest, alone.digest);
    EXPECT_NE(together.digest, open(comm::Communicator(), {Split::train, {}, {"good"}}).digest);
    for (std::size_t i = 0; i < alone.size(); ++i) {
        EXPECT_EQ(together.lengths[i].packed(), alone.lengths[i].packed());
        EXPECT_EQ(lengths_of(together.example(i)).packed(), alone.lengths[i].packed());
        EXPECT_EQ(together.example(i).pair, alone.rows[i]);
    }
}

TEST_F(PairDataTest, ThePromptIsTheOriginalInstructionAndAnswersEndTheirTurn) {
    const PairData data = open(world(), {Split::train, {}, {}});
    const auto text = [&](const auto& tokens) {
        return front_end_.tokenizer.decode_with_special(tokens);
    };
    const PairExample first = data.example(0);
    const Message message{Role::user, "What is 0?"};
    EXPECT_EQ(text(first.prompt),
              lm::to_text(front_end_.chat->render_prompt(std::span(&message, 1))));
    EXPECT_EQ(text(first.chosen), "A fine number 0<|im_end|>");
    EXPECT_EQ(text(first.rejected), "No<|im_end|>");
    EXPECT_EQ(text(data.example(4).chosen), "A fine number 2") << "was cut off";
    EXPECT_EQ(data.example(5).strategy, 1u);
}

TEST_F(PairDataTest, LimitsCutAnswersAndDropPairsWithoutRoom) {
    const std::int64_t prompt = open(world(), {Split::train, {}, {}}).lengths[0].prompt;
    const PairData cut = open(world(), {Split::train, {}, {}}, {prompt + 5, prompt});
    EXPECT_EQ(cut.lengths[0].chosen, 5u);
    EXPECT_EQ(cut.lengths[0].rejected, 3u);
    EXPECT_EQ(cut.dropped, 0u);
    const PairData none = open(world(), {Split::train, {}, {}}, {prompt, prompt});
    EXPECT_EQ(none.size(), 0u);
    EXPECT_EQ(none.dropped, 16u);
}

TEST_F(PairDataTest, SmallerSetsAreTheBeginningsOfLargerOnes) {
    const auto rows = [&](std::int64_t limit, std::map<std::string, double> proportions) {
        return open(world(), {Split::train, {}, {}, std::move(proportions), limit}).rows;
    };
    const auto all = rows(0, {});
    const auto three = rows(3, {});
    EXPECT_EQ(three.size(), 6u) << "two strategies";
    EXPECT_TRUE(std::equal(three.begin(), three.end(), all.begin()));
    EXPECT_EQ(rows(8, {}), all);
    const auto mixed = rows(0, {{"good", 3}, {"other", 1}});
    EXPECT_EQ(mixed.size(), 8u) << "a pair an instruction";
    const auto fewer = rows(4, {{"good", 3}, {"other", 1}});
    ASSERT_EQ(fewer.size(), 4u);
    EXPECT_TRUE(std::equal(fewer.begin(), fewer.end(), mixed.begin()));
    EXPECT_THROW(rows(0, {{"best", 1}}), Error);
}

TEST(MixRows, EveryBeginningFollowsTheProportions) {
    constexpr std::uint32_t strategies = 3;
    const std::vector<double> weights{0.5, 0.3, 0.2};
    std::vector<PairCandidate> candidates;
    for (std::uint64_t instruction = 0; instruction < 200; ++instruction)
        for (std::uint32_t s = 0; s < strategies; ++s)
            candidates.push_back({instruction * strategies + s, instruction, s});
    const auto rows = mix_rows(candidates, weights);
    ASSERT_EQ(rows.size(), 200u);
    std::vector<double> counts(strategies, 0);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        EXPECT_EQ(rows[i] / strategies, i);
        ++counts[rows[i] % strategies];
        for (std::size_t s = 0; s < strategies; ++s)
            EXPECT_LE(std::abs(counts[s] - weights[s] * static_cast<double>(i + 1)), 1.0);
    }
}

TEST(MixRows, TakesWhatAnInstructionHasAndCatchesUp) {
    // The first two instructions lack strategy 1; strategy 2 has no weight.
    const std::vector<PairCandidate> candidates{{0, 0, 0}, {1, 0, 2}, {2, 1, 0}, {3, 2, 0},
                                                {4, 2, 1}, {5, 3, 0}, {6, 3, 1}, {7, 4, 2}};
    EXPECT_EQ(mix_rows(candidates, std::vector<double>{1, 1, 0}),
              (std::vector<std::uint64_t>{0, 2, 4, 6}));
}

TEST_F(PairDataTest, AJudgesLabelsTurnPairsAndLeaveOutTies) {
    const PairData as_made = open(world(), {Split::train, {}, {"good"}});
    // Pair 0 is found right, 2 wrong and 4 equal; 6 was shown in one order alone.
    std::vector<Verdict> verdicts;
    const auto add = [&](std::uint64_t pair, AnswerOrder order, VerdictLabel label, double p) {
        if (world().is_root())
            verdicts.push_back({pair, 1, order, label, p, "", true});
    };
    for (const AnswerOrder order : {AnswerOrder::chosen_first, AnswerOrder::rejected_first}) {
        add(0, order, VerdictLabel::chosen, 0.9);
        add(2, order, VerdictLabel::rejected, 0.2);
        const bool first = order == AnswerOrder::chosen_first;
        add(4, order, first ? VerdictLabel::chosen : VerdictLabel::rejected, first ? 0.8 : 0.2);
    }
    add(6, AnswerOrder::chosen_first, VerdictLabel::chosen, 0.9);
    store::write_verdicts(world(), path(), {{"longest", "", "", ""}, {"judge", "0", "rlaif", "0"}},
                          verdicts);

    for (const char* name : {"judge", "judge/rlaif"}) {
        const PairData data =
            open(world(), {.exclude_flags = {}, .strategies = {}, .labels = name});
        ASSERT_EQ(data.rows, (std::vector<std::uint64_t>{0, 2}));
        EXPECT_EQ(data.example(0).chosen, as_made.example(0).chosen);
        EXPECT_EQ(data.example(1).chosen, as_made.example(1).rejected);
        EXPECT_EQ(data.example(1).rejected, as_made.example(1).chosen);
        EXPECT_EQ(data.lengths[1].chosen, as_made.lengths[1].rejected);
    }
    EXPECT_THROW(open(world(), {.exclude_flags = {}, .strategies = {}, .labels = "other"}), Error);
}

TEST_F(PairDataTest, UnknownNamesAreRefused) {
    EXPECT_THROW(open(world(), {Split::train, {"boring"}, {}}), UsageError);
    EXPECT_THROW(open(world(), {Split::train, {}, {"best"}}), UsageError);
    EXPECT_THROW(open_pair_data(world(), directory_ / "none.h5", front_end_, {}, {}), Error);
}

}  // namespace
}  // namespace popalign::preference
