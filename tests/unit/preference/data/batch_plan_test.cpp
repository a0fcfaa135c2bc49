#include "preference/data/batch_plan.hpp"

#include "unit/preference/tiny_pairs.hpp"

#include <popalign/base/range.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace popalign::preference {
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
            for (const std::size_t item :
                 share_of_batch(batch, data.lengths, data.hashes, rank, ranks)) {
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
    EXPECT_TRUE(share_of_batch(batch, data.lengths, data.hashes, 3, 4).empty());
}

TEST(MicroBatchesTest, CoverAllItemsWithinTheBudget) {
    const PairData data = test::random_pairs(50);
    for (const std::int64_t budget : {1, 40, 100000}) {
        std::size_t next = 0;
        for (const Range& range : micro_batches(data.lengths, data.hashes, budget)) {
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

/// Six pairs of each of four prompts; all pairs of a prompt have the same chosen answer.
struct Strategies {
    std::vector<PairLengths> lengths;
    std::vector<PairHashes> hashes;

    Strategies() {
        for (std::uint64_t i = 0; i < 24; ++i) {
            lengths.push_back({10, 5, 7});
            hashes.push_back({i % 4, 100, 200 + i});
        }
    }
};

TEST(PackedSizeTest, CountsWhatIsEqualOnce) {
    PackedSize size;
    size.add({10, 5, 7}, {1, 2, 3});
    EXPECT_EQ(size.tokens(), 22u);
    EXPECT_EQ(size.cost({10, 5, 7}, {1, 2, 4}), 7u);
    EXPECT_EQ(size.cost({10, 7, 7}, {1, 3, 3}), 0u);
    EXPECT_EQ(size.cost({10, 5, 7}, {9, 2, 3}), 22u) << "another prompt's answers are others";
    EXPECT_EQ(size.cost({10, 5, 5}, {9, 2, 2}), 15u);
}

TEST(OrderByInstructionTest, KeepsPromptsTogetherAndEveryItem) {
    const Strategies pairs;
    const auto order = epoch_order(24, 5, 0);
    const auto grouped = order_by_instruction(order, pairs.hashes);
    EXPECT_EQ(std::set<std::size_t>(grouped.begin(), grouped.end()).size(), 24u);
    EXPECT_EQ(grouped.front(), order.front());
    for (std::size_t i = 0; i < 24; ++i)
        EXPECT_EQ(pairs.hashes[grouped[i]].prompt, pairs.hashes[grouped[i / 6 * 6]].prompt);
    std::vector<PairHashes> hashes;
    for (const std::size_t item : grouped)
        hashes.push_back(pairs.hashes[item]);
    // Six pairs are one prompt, one chosen answer and six rejected ones.
    EXPECT_EQ(micro_batches(pairs.lengths, hashes, 10 + 5 + 6 * 7).size(), 4u);
    // With room for one token less, passes end within prompts: after 5, 3, 4, 5, 3 and 4 pairs.
    EXPECT_EQ(micro_batches(pairs.lengths, hashes, 10 + 5 + 6 * 7 - 1).size(), 6u);
    // With room for more than one prompt but not for two, no prompt is computed twice.
    for (const auto& range : micro_batches(pairs.lengths, hashes, 2 * (10 + 5 + 6 * 7) - 1))
        EXPECT_EQ(range.size(), 6u);
    EXPECT_EQ(micro_batches(pairs.lengths, hashes, 2 * (10 + 5 + 6 * 7)).size(), 2u);
}

TEST(ShareOfBatchTest, PromptsStayOnOneRankUnlessTheyAreTooLarge) {
    const Strategies pairs;
    const auto batch = epoch_order(24, 5, 0);
    for (const int ranks : {1, 2, 4}) {
        std::set<std::uint64_t> prompts;
        for (int rank = 0; rank < ranks; ++rank) {
            const auto mine = share_of_batch(batch, pairs.lengths, pairs.hashes, rank, ranks);
            EXPECT_EQ(mine.size(), 24u / static_cast<std::size_t>(ranks));
            std::set<std::uint64_t> own;
            for (const std::size_t item : mine)
                own.insert(pairs.hashes[item].prompt);
            EXPECT_EQ(own.size(), 4u / static_cast<std::size_t>(ranks));
        }
    }
    // On 8 ranks a prompt is more than a share.
    std::size_t most = 0, items = 0;
    for (int rank = 0; rank < 8; ++rank) {
        const auto mine = share_of_batch(batch, pairs.lengths, pairs.hashes, rank, 8);
        most = std::max(most, mine.size());
        items += mine.size();
    }
    EXPECT_EQ(items, 24u);
    EXPECT_EQ(most, 3u);
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
}  // namespace popalign::preference
