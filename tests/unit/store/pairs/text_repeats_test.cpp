// Which texts repeat an earlier one, whatever the ranks, against a comparison of all with all.
#include "store/pairs/text_repeats.hpp"

#include "store/pairs/pair_repeats.hpp"
#include "support/world.hpp"

#include <popalign/base/range.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/store/pairs/pair_merge.hpp>
#include <popalign/store/pairs/pair_rows.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace popalign::store {
namespace {

using test::world;

struct Row {
    std::uint64_t group;
    std::string text;
};

/// The same on all ranks: texts of words, a third of which are those of an earlier row with its
/// end changed a little or a lot.
std::vector<Row> make_rows(std::size_t count) {
    std::mt19937 random(11);
    std::vector<Row> rows;
    for (std::size_t i = 0; i < count; ++i) {
        std::string text;
        if (i > 0 && random() % 3 == 0) {
            text = rows[random() % i].text;
            text.resize(text.size() - random() % 4 * text.size() / 8);
        }
        while (text.size() < 300)
            text += "word" + std::to_string(random() % 100000) + " ";
        rows.push_back({i / 2, text});
    }
    return rows;
}

std::vector<std::uint8_t> find(const std::vector<Row>& rows) {
    const Range mine = partition(rows.size(), world().rank(), world().size());
    TextRepeats repeats;
    for (std::size_t i = mine.begin; i < mine.end; ++i)
        repeats.add(i, rows[i].group, rows[i].text);
    const auto found = repeats.find(world());
    std::vector<std::uint8_t> all(rows.size(), 0);
    std::ranges::copy(found, all.begin() + static_cast<std::ptrdiff_t>(mine.begin));
    comm::all_reduce(world(), std::span(all), comm::Reduction::maximum);
    return all;
}

TEST(TextRepeats, AreThoseOfAComparisonOfAllWithAll) {
    const auto rows = make_rows(150);
    const auto found = find(rows);
    int repeated = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        double closest = 0;
        for (std::size_t j = 0; j < i; ++j)
            if (rows[j].group != rows[i].group)
                closest = std::max(closest, text_similarity(rows[i].text, rows[j].text));
        if (closest >= 0.98) {
            EXPECT_EQ(found[i], 1) << "row " << i << " has similarity " << closest;
        }
        if (closest < 0.75) {
            EXPECT_EQ(found[i], 0) << "row " << i << " has similarity " << closest;
        }
        repeated += found[i];
    }
    EXPECT_GT(repeated, 5);
}

TEST(TextRepeats, OfOneGroupAreNone) {
    const std::string text(200, 'x');
    EXPECT_EQ(find({{7, text}, {7, text}}), (std::vector<std::uint8_t>{0, 0}));
    EXPECT_EQ(find({{7, text}, {8, text}, {7, text}}), (std::vector<std::uint8_t>{0, 1, 0}));
    EXPECT_EQ(find({}), std::vector<std::uint8_t>());
}

TEST(TextRepeats, ManyEqualTextsStayLinear) {
    std::vector<Row> rows(5000, {0, "the same answer to everything, again and again"});
    for (std::size_t i = 0; i < rows.size(); ++i)
        rows[i].group = i;
    const auto found = find(rows);
    EXPECT_EQ(found.front(), 0);
    EXPECT_EQ(std::ranges::count(found, 1), static_cast<std::ptrdiff_t>(rows.size()) - 1);
}

TEST(FlagRepeats, MarksPairsByTheirTexts) {
    // Instruction i has responses 2 i and 2 i + 1; each rank holds a part of each table.
    const std::vector<std::string> questions{"What is a fox?", "What is a dog?", "What is a fox?",
                                             "What is an owl?"};
    const auto answer = [](std::size_t row) {
        std::string text = "short";
        if (row != 1 && row != 5)
            for (int i = 0; i < 30; ++i)
                text +=
                    " " + std::to_string((row == 7 ? 2 : row) * 1000 + static_cast<unsigned>(i));
        return text;
    };
    const Range mine = partition(questions.size(), world().rank(), world().size());
    PairBlock block;
    for (std::size_t i = mine.begin; i < mine.end; ++i) {
        block.instructions.push_back({std::to_string(i), "", questions[i]});
        for (std::size_t row : {2 * i, 2 * i + 1}) {
            Response response;
            response.instruction = i;
            response.text = answer(row);
            block.responses.push_back(response);
        }
        block.pairs.push_back({i, 0, 2 * i, 2 * i + 1, 4});
    }
    flag_repeats(world(), block);
    const std::uint32_t expected[] = {4, 4, 4 | 512, 4 | 1024};
    for (const PreferencePair& pair : block.pairs)
        EXPECT_EQ(pair.flags, expected[pair.instruction]) << pair.instruction;
}

TEST(ShareOfMix, HasAllOldPairsBeforeAllNewOnes) {
    std::mt19937 random(4);
    for (int i = 0; i < 200; ++i) {
        const std::uint64_t old_pairs = random() % 50;
        const std::size_t units = random() % 5000, weight = 1 + random() % 200;
        const MixShare share = share_of_mix(world(), old_pairs, units, weight);
        const auto ends = comm::all_gather<std::uint64_t>(world(), share.old_pairs.end);
        const auto new_ends = comm::all_gather<std::uint64_t>(world(), share.new_units.end);
        const auto before = static_cast<std::size_t>(world().rank());
        EXPECT_EQ(share.old_pairs.begin, before == 0 ? 0 : ends[before - 1]);
        EXPECT_EQ(share.new_units.begin, before == 0 ? 0 : new_ends[before - 1]);
        EXPECT_EQ(ends.back(), old_pairs);
        EXPECT_EQ(new_ends.back(), units);
        if (share.new_units.size() > 0) {
            EXPECT_EQ(share.old_pairs.end, old_pairs);
        }
    }
}

}  // namespace
}  // namespace popalign::store
