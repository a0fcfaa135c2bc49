#include "unit/preference/tiny_model.hpp"

#include <popalign/preference/batch_plan.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace popalign {
namespace {

TEST(EpochOrderTest, IsAPermutationThatSeedAndEpochDecide) {
    const auto order = epoch_order(1000, 3, 0);
    EXPECT_EQ(std::set<std::size_t>(order.begin(), order.end()).size(), 1000u);
    EXPECT_EQ(*std::max_element(order.begin(), order.end()), 999u);
    EXPECT_EQ(order, epoch_order(1000, 3, 0));
    EXPECT_NE(order, epoch_order(1000, 3, 1));
    EXPECT_NE(order, epoch_order(1000, 4, 0));
    EXPECT_TRUE(epoch_order(0, 1, 0).empty());
}

TEST(EpochOrderTest, EveryPlaceIsAboutEquallyLikely) {
    int counts[4] = {};
    for (std::uint64_t seed = 0; seed < 4000; ++seed)
        ++counts[epoch_order(4, seed, 0)[0]];
    for (const int count : counts)
        EXPECT_NEAR(count, 1000, 110);  // four standard deviations
}

TEST(ShareOfBatchTest, EveryItemGoesToOneRankAndLoadsAreClose) {
    const PairData data = test::random_pairs(64);
    const auto batch = epoch_order(64, 1, 0);
    for (const int ranks : {1, 2, 4, 7}) {
        std::multiset<std::size_t> items;
        std::uint64_t least = UINT64_MAX, most = 0;
        for (int rank = 0; rank < ranks; ++rank) {
            std::uint64_t load = 0;
            for (const std::size_t item : share_of_batch(batch, data.lengths, rank, ranks)) {
                items.insert(item);
                load += data.lengths[item].packed();
            }
            least = std::min(least, load);
            most = std::max(most, load);
        }
        EXPECT_EQ(items, std::multiset<std::size_t>(batch.begin(), batch.end()));
        EXPECT_LE(most - least, 33u);  // the longest pair
    }
}

TEST(ShareOfBatchTest, MoreRanksThanItemsLeaveSomeWithout) {
    const PairData data = test::random_pairs(2);
    const std::vector<std::size_t> batch{0, 1};
    EXPECT_TRUE(share_of_batch(batch, data.lengths, 3, 4).empty());
}

TEST(MicroBatchesTest, CoverAllItemsWithinTheBudget) {
    const PairData data = test::random_pairs(50);
    for (const std::int64_t budget : {1, 40, 100000}) {
        std::size_t next = 0;
        for (const Range& range : micro_batches(data.lengths, budget)) {
            EXPECT_EQ(range.begin, next);
            ASSERT_GT(range.size(), 0u);
            next = range.end;
            std::uint64_t tokens = 0;
            for (std::size_t i = range.begin; i < range.end; ++i)
                tokens += data.lengths[i].packed();
            EXPECT_TRUE(range.size() == 1 || tokens <= static_cast<std::uint64_t>(budget));
        }
        EXPECT_EQ(next, 50u);
    }
    EXPECT_EQ(steps_per_epoch(50, 16), 4);
}

TEST(TruncateTest, CutsThePromptsBeginningAndTheAnswersEnd) {
    PairExample example{{1, 2, 3, 4, 5}, {6, 7, 8}, {9}, 0, 0};
    truncate(example, {.max_length = 5, .max_prompt_length = 3});
    EXPECT_EQ(example.prompt, (std::vector<TokenId>{3, 4, 5}));
    EXPECT_EQ(example.chosen, (std::vector<TokenId>{6, 7}));
    EXPECT_EQ(example.rejected, (std::vector<TokenId>{9}));
    truncate(example, {.max_length = 3, .max_prompt_length = 3});
    EXPECT_TRUE(example.chosen.empty());
}

}  // namespace
}  // namespace popalign
