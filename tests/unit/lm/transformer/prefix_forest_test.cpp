#include "lm/transformer/prefix_forest.hpp"

#include <gtest/gtest.h>

namespace popalign::lm {
namespace {

using Sequences = std::vector<std::vector<TokenId>>;

std::vector<std::span<const TokenId>> spans(const Sequences& sequences) {
    return {sequences.begin(), sequences.end()};
}

TEST(PrefixForest, SpellsEverySequenceAndSharesWhatIsShared) {
    const Sequences sequences{{1, 2, 3, 4}, {1, 2, 5}, {1, 2}, {7}, {1, 2, 3, 4}, {1, 2, 3, 9}};
    const PrefixForest packed = share_prefixes(spans(sequences));
    EXPECT_EQ(packed.forest.tokens.size(), 7U) << "1 2 | 3 | 4 | 5 | 7 | 9";
    for (std::size_t i = 0; i < sequences.size(); ++i)
        for (std::size_t at = 0; at < sequences[i].size(); ++at)
            EXPECT_EQ(
                packed.forest
                    .tokens[static_cast<std::size_t>(packed.row(i, static_cast<std::int64_t>(at)))],
                sequences[i][at]);
    for (const auto& segment : packed.forest.segments) {
        EXPECT_LT(segment.begin, segment.end);
        if (segment.parent) {
            EXPECT_LT(packed.forest.segments[*segment.parent].begin, segment.begin);
        }
    }
}

TEST(PrefixForest, GroupsStayWithinTheBudget) {
    const Sequences sequences{{1, 2, 3}, {1, 2, 4}, {5, 6, 7, 8, 9, 10, 11}, {1, 2, 3, 5}};
    const auto views = spans(sequences);
    const auto order = prefix_order(views);
    std::size_t members = 0;
    for (const auto& group : group_by_budget(views, order, 5, 100)) {
        std::vector<std::span<const TokenId>> chosen;
        for (std::size_t member : group)
            chosen.push_back(views[member]);
        members += group.size();
        if (group.size() > 1) {
            EXPECT_LE(share_prefixes(chosen).forest.tokens.size(), 5U);
        }
    }
    EXPECT_EQ(members, sequences.size());
}

}  // namespace
}  // namespace popalign::lm
