#include "support/temporary_directory.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/synthesis/strategy.hpp>

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace popalign::synthesis {
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
    const auto demonstration = load("demonstration");
    for (const PairSide side : {PairSide::chosen, PairSide::rejected})
        EXPECT_EQ(demonstration.turns(variant(demonstration, "alignment"), side, 0),
                  demonstration.turns(variant(demonstration, "leaderboard"), side, 0));
    EXPECT_EQ(demonstration.demonstrations.size(), 3U);
    EXPECT_EQ(variant(prefix, "alignment").rejected.turns[0].earlier_prefix,
              "(helpful, harmless)\n")
        << "the opposite words, as in RLCD";
    EXPECT_EQ(variant(prefix, "rlcd_harmless").affixes.size(), 16U);
    EXPECT_EQ(variant(prefix, "rlcd_helpful").affixes.size(), 1U);
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

TEST(Strategies, AreRefusedWithTheReason) {
    const test::TemporaryDirectory directory;
    const auto path = directory / "wrong.yaml";
    const auto reason = [&](const std::string& level, const std::string& top,
                            const std::string& chosen) {
        write_text_file(path, "name: wrong\nlevel: " + level + "\n" + top +
                                  "variants:\n  alignment:\n    chosen: " + chosen +
                                  "\n    rejected: {model: model, turns: [{user: "
                                  "'{instruction}'}]}\n");
        try {
            load_strategy({"wrong", "alignment", "m", "", "", path});
        } catch (const UsageError& error) {
            return std::string(error.what());
        }
        return std::string("accepted");
    };
    const std::string good = "{model: model, turns: [{user: '{instruction}'}]}";
    EXPECT_EQ(reason("prompt", "", good), "accepted");
    const std::vector<std::array<std::string, 4>> wrong{
        {"deep", "", good, "level 'deep'"},
        {"prompt", "", "{model: teacher, turns: [{user: '{instruction}'}]}", "'teacher'"},
        {"prompt", "", "{model: model, turns: []}", "no turns"},
        {"prompt", "", "{model: model, turns: [{user: 'Hi'}]}", "{instruction}"},
        {"prompt", "", "{model: model, turns: [{user: '{instruction}{affix}'}]}", "`affixes`"},
        {"prompt", "", "{model: model, turns: [{user: '{demonstrations}{instruction}'}]}",
         "`demonstrations`"},
        {"prompt", "", "{model: model, shots: 1, turns: [{user: '{instruction}'}]}", "shots 1"},
        {"prompt", "demonstrations: [{question: '{instruction}', chosen: a, rejected: b}]\n", good,
         "holds the mark"},
        {"prompt", "", "{model: model, turns: [{user: '{instruction}', parse: json}]}", "parse"}};
    for (const auto& [level, top, chosen, said] : wrong)
        EXPECT_NE(reason(level, top, chosen).find(said), std::string::npos)
            << reason(level, top, chosen);
}

}  // namespace
}  // namespace popalign::synthesis
