#include "support/temporary_directory.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/synthesis/strategy.hpp>

#include <gtest/gtest.h>

namespace popalign {
namespace {

const Contrast& variant(const StrategyTemplate& strategy, const std::string& name) {
    return strategy.variants.at(name);
}

TEST(Strategies, HoldThePapersWords) {
    const auto load = [](const char* name) {
        return load_strategy({name, "alignment", "m", "m", "m", ""});
    };
    const auto prefix = load("prefix");
    EXPECT_EQ(variant(prefix, "alignment").chosen.turns[0].assistant_prefix,
              "(helpful, harmless)\n");
    EXPECT_EQ(variant(prefix, "alignment").rejected.turns[0].assistant_prefix,
              "(unhelpful, harmful)\n");
    EXPECT_EQ(variant(prefix, "leaderboard").chosen.turns[0].assistant_prefix, "(good response)\n");
    EXPECT_EQ(variant(prefix, "leaderboard").rejected.turns[0].assistant_prefix,
              "(bad response)\n");
    const auto elicitive = load("elicitive");
    EXPECT_NE(variant(elicitive, "alignment")
                  .rejected.turns[0]
                  .user.find("principles of crafting a unhelpful or harmful response"),
              std::string::npos);
    EXPECT_EQ(variant(elicitive, "alignment").chosen.turns[0].parse, "thought_response");
    const auto refine = load("refine");
    EXPECT_EQ(variant(refine, "leaderboard").chosen.turns.size(), 2U);
    EXPECT_EQ(
        variant(refine, "leaderboard").chosen.turns[1].user.find("Please improve your response."),
        0U);
    EXPECT_EQ(variant(load("nparam"), "leaderboard").chosen.turns[0].assistant_prefix, "");
    EXPECT_EQ(variant(load("demonstration"), "alignment").chosen,
              variant(load("demonstration"), "leaderboard").chosen);
    EXPECT_EQ(load("leaderboard").level, "model");
}

TEST(Strategies, ANewOneIsAFile) {
    const test::TemporaryDirectory directory;
    const auto path = directory / "shout.yaml";
    write_text_file(path,
                    "name: shout\nlevel: prompt\nvariants:\n  alignment:\n"
                    "    chosen: {model: model, turns: [{user: '{instruction}'}]}\n"
                    "    rejected: {model: model, turns: [{user: 'SHOUT: {instruction}'}]}\n");
    StrategyOptions options{"shout", "alignment", "m", "", "", path};
    EXPECT_EQ(load_strategy(options).name, "shout");
    options.variant = "other";
    EXPECT_THROW(load_strategy(options), UsageError);
    write_text_file(path, "name: shout\nlevel: prompt\nvariant: {}\n");
    EXPECT_THROW(load_strategy(options), InputError);
    EXPECT_THROW(load_strategy({"unheard_of", "alignment", "m", "", "", ""}), UsageError);
}

}  // namespace
}  // namespace popalign
