#include "preference/data/pair_transforms.hpp"

#include "unit/preference/tiny_pairs.hpp"

#include <popalign/base/error.hpp>

#include <gtest/gtest.h>

namespace popalign::preference {
namespace {

TEST(PairTransformsTest, ChosenOnlyHasNoRejectedAnswers) {
    const PairData whole = test::random_pairs(4), chosen = chosen_only(whole);
    for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(chosen.example(i).chosen, whole.example(i).chosen);
        EXPECT_TRUE(chosen.example(i).rejected.empty());
        EXPECT_EQ(chosen.lengths[i].packed(), chosen.lengths[i].sequences());
        EXPECT_EQ(chosen.lengths[i].packed(), whole.lengths[i].prompt + whole.lengths[i].chosen);
    }
}

TEST(PairTransformsTest, MismatchedAnswersAreOfAnotherInstruction) {
    const PairData whole = test::random_pairs(7, 3);  // instructions 0 0 0 1 1 1 2
    const PairData others = mismatched(whole);
    const std::vector<std::size_t> partners{6, 6, 6, 2, 2, 2, 5};
    for (std::size_t i = 0; i < 7; ++i) {
        const PairExample found = others.example(i);
        EXPECT_EQ(found.prompt, whole.example(i).prompt);
        EXPECT_EQ(found.chosen, whole.example(partners[i]).chosen);
        EXPECT_EQ(found.rejected, whole.example(partners[i]).rejected);
        EXPECT_EQ(found.pair, whole.rows[i]);
        EXPECT_EQ(others.lengths[i].packed(), lengths_of(found).packed());
    }
}

TEST(PairTransformsTest, MismatchedAnswersAreCutToTheRoomBehindTheirPrompt) {
    PairData whole = test::random_pairs(9, 1);
    std::uint32_t longest = 0;
    for (const PairLengths& lengths : whole.lengths)
        longest = std::max(longest, lengths.prompt);
    whole.limits = {longest + 2, longest};
    const PairData others = mismatched(whole);
    for (std::size_t i = 0; i < 9; ++i) {
        const PairExample found = others.example(i);
        EXPECT_LE(found.prompt.size() + found.chosen.size(), longest + 2);
        EXPECT_EQ(others.lengths[i].chosen, found.chosen.size());
        EXPECT_EQ(others.lengths[i].rejected, found.rejected.size());
    }
}

TEST(PairTransformsTest, OneInstructionHasNoOthers) {
    EXPECT_THROW(mismatched(test::random_pairs(3, 3)), UsageError);
    EXPECT_THROW(mismatched(test::random_pairs(0)), UsageError);
}

}  // namespace
}  // namespace popalign::preference
