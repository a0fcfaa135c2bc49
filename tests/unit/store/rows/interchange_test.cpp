// Formats of other programs: what one wrote reads back the same, and what is no pair is refused.
#include "support/temporary_directory.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/range.hpp>
#include <popalign/store/rows/interchange.hpp>
#include <popalign/store/rows/json_rows.hpp>
#include <popalign/store/rows/messages.hpp>
#include <popalign/store/rows/overlap.hpp>

#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <random>

namespace popalign::store {
namespace {

using nlohmann::json;

std::string random_text(std::mt19937& random) {
    static const std::vector<std::string> parts{
        "word",         " ",          "\n", "\n\n",   "\"quoted\"", "{brace}", "日本",
        "\xE2\x80\xA8", "\xC2\x85",   "\\", "Human:", "\n\nHuman:", "🙂",    "\t",
        "1.5",          "<|im_end|>", ""};
    std::string text;
    for (auto count = 1 + random() % 8; count > 0; --count)
        text += parts[random() % parts.size()];
    return text;
}

InterchangePair random_pair(std::mt19937& random) {
    InterchangePair pair;
    pair.instruction = {"id-" + std::to_string(random() % 100), "source",
                        "ask " + random_text(random)};
    if (random() % 3 == 0)
        pair.instruction.context.push_back({Role::system, "system " + random_text(random)});
    for (auto rounds = random() % 3; rounds > 0; --rounds) {
        pair.instruction.context.push_back({Role::user, random_text(random)});
        pair.instruction.context.push_back({Role::assistant, random_text(random)});
    }
    pair.chosen = random_text(random);
    pair.rejected = random_text(random);
    return pair;
}

TEST(Interchange, EveryFormatReadsBackWhatItWrote) {
    std::mt19937 random(5);
    for (const InterchangeFormat& format : interchange_formats()) {
        int held = 0;
        for (int i = 0; i < 500; ++i) {
            const InterchangePair pair = random_pair(random);
            const auto row = format.write(pair);
            if (!row)
                continue;
            ++held;
            ASSERT_EQ(format.read(json::parse(row->dump())), pair) << format.name << ": " << *row;
        }
        EXPECT_GT(held, 80) << format.name;
        if (format.name == "trl" || format.name == "openrlhf") {
            EXPECT_EQ(held, 500) << format.name << " holds every dialogue";
        }
    }
}

InterchangePair read(const char* format, const char* row) {
    return find_interchange_format(format).read(json::parse(row));
}

TEST(Interchange, ReadsWhatOtherProgramsWrite) {
    const InterchangePair expected{{"", "", "Q"}, "good", "bad"};
    EXPECT_EQ(read("trl", R"({"prompt": "Q", "chosen": "good", "rejected": "bad"})"), expected);
    EXPECT_EQ(
        read(
            "trl",
            R"({"chosen": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "good"}],
                              "rejected": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "bad"}]})"),
        expected);
    EXPECT_EQ(read("llama-factory-alpaca",
                   R"({"instruction": "Q", "input": "", "chosen": "good", "rejected": "bad"})"),
              expected);
    EXPECT_EQ(read("llama-factory-alpaca",
                   R"({"instruction": "A", "input": "B", "chosen": "good", "rejected": "bad"})")
                  .instruction.text,
              "A\nB");
    EXPECT_EQ(read("llama-factory-sharegpt",
                   R"({"conversations": [{"from": "human", "value": "Q"}],
                       "chosen": {"from": "gpt", "value": "good"},
                       "rejected": {"from": "gpt", "value": "bad"}})"),
              expected);
    const InterchangePair dialogue =
        read("hh-rlhf", R"({"chosen": "\n\nHuman: A\n\nAssistant: B\n\nHuman: Q\n\nAssistant: good",
                       "rejected": "\n\nHuman: A\n\nAssistant: B\n\nHuman: Q\n\nAssistant:"})");
    EXPECT_EQ(dialogue.instruction.context,
              (std::vector<Message>{{Role::user, "A"}, {Role::assistant, "B"}}));
    EXPECT_EQ(dialogue.instruction.text, "Q");
    EXPECT_EQ(dialogue.chosen, "good");
    EXPECT_EQ(dialogue.rejected, "");
}

TEST(Interchange, UltraFeedbackGivesTheBestAndAWorseCompletion) {
    const char* row = R"({"instruction": "Q", "completions": [
        {"model": "a", "response": "middle", "overall_score": 5, "fine-grained_score": 3.5},
        {"model": "b", "response": "best", "overall_score": 5, "fine-grained_score": 4.5},
        {"model": "c", "response": "equal", "overall_score": 9, "fine-grained_score": 4.5}]})";
    EXPECT_EQ(read("ultrafeedback", row), (InterchangePair{{"", "", "Q"}, "best", "middle"}));
    EXPECT_THROW(read("ultrafeedback", R"({"instruction": "Q", "completions": [
        {"response": "a", "overall_score": 5}, {"response": "b", "overall_score": 5}]})"),
                 UsageError);
}

TEST(Interchange, RefusesWhatIsNoPair) {
    for (const char* row :
         {R"({"prompt": "", "chosen": "a", "rejected": "b"})",
          R"({"prompt": [{"role": "assistant", "content": "Q"}], "chosen": "a", "rejected": "b"})",
          R"({"prompt": [{"role": "tool", "content": "Q"}], "chosen": "a", "rejected": "b"})",
          R"({"prompt": "Q", "chosen": [{"role": "user", "content": "a"}], "rejected": "b"})",
          R"({"chosen": "a", "rejected": "b"})"})
        EXPECT_THROW(read("trl", row), UsageError) << row;
    EXPECT_THROW(read("trl", R"({"prompt": "Q", "chosen": 1, "rejected": "b"})"), json::exception);
    EXPECT_THROW(read("hh-rlhf", R"({"chosen": "Human: x", "rejected": "y"})"), UsageError);
    EXPECT_THROW(
        read(
            "hh-rlhf",
            R"({"chosen": "\n\nHuman: x\n\nAssistant: y", "rejected": "\n\nHuman: z\n\nAssistant: y"})"),
        UsageError);
    EXPECT_THROW(find_interchange_format("nothing"), UsageError);
}

struct Visited {
    std::vector<std::size_t> good, bad;
    bool operator==(const Visited&) const = default;
};

/// As `parts` ranks visit it.
Visited visit(const std::string& text, int parts = 1) {
    const test::TemporaryDirectory folder;
    std::ofstream(folder / "rows") << text;
    Visited visited;
    const JsonRows rows(folder / "rows");
    std::size_t lines = 0;
    for (int part = 0; part < parts; ++part) {
        const Range share = partition(rows.units(), part, parts);
        rows.visit(
            share, lines, [&](std::size_t line, const json&) { visited.good.push_back(line); },
            [&](std::size_t line, const std::string&) { visited.bad.push_back(line); });
        lines += rows.lines(share);
    }
    return visited;
}

TEST(JsonRows, AreLinesOrEntriesOfAList) {
    const Visited lines = visit("{}\n\n{\"a\": \"\xE2\x80\xA8\"}\nno\n{}");
    EXPECT_EQ(lines, (Visited{{1, 3, 5}, {4}}));
    EXPECT_EQ(visit("[{}, 1,\n {\"a\":\n\"],\\\"\"}\n\n, [[1], 2] , no]\n"),
              (Visited{{1, 1, 2, 5}, {5}}));
    EXPECT_EQ(visit("\n[ ]"), Visited());
    EXPECT_EQ(visit("[1,]"), (Visited{{1}, {1}}));
    for (const char* text : {"[{}", "[1]]", "[\"a]", "[{]", " \n", "", "\x1F\x8B", "PAR1"})
        EXPECT_THROW(visit(text), InputError) << text;
}

TEST(JsonRows, AreVisitedOnceByAnyNumberOfRanks) {
    std::mt19937 random(2);
    for (int i = 0; i < 200; ++i) {
        std::string text = random() % 2 == 0 ? "1" : "";
        for (auto rows = random() % 9; rows > 0; --rows)
            text += std::array{"\n", "{}\n", "{\"a\": \"long\"}\n", "no\n"}[random() % 4];
        if (random() % 2 == 0)
            text += "\n{}";
        if (text.find_first_not_of('\n') == std::string::npos)
            continue;
        const Visited whole = visit(text);
        for (int parts : {2, 3, 7, 40})
            EXPECT_EQ(visit(text, parts), whole) << text;
    }
}

TEST(OverlapIndex, FindsSharedWords) {
    OverlapIndex index;
    EXPECT_FALSE(index.overlaps("anything"));
    index.add("How many names of famous actors do you know by heart today?");
    index.add("Write a poem.");
    EXPECT_TRUE(index.overlaps("Tell me: HOW MANY names of famous actors do you, really?"));
    EXPECT_FALSE(index.overlaps("How many names of famous actors do we know?")) << "seven words";
    EXPECT_TRUE(index.overlaps("write a  poem"));
    EXPECT_FALSE(index.overlaps("Write a poem about the sea"));
    EXPECT_FALSE(index.overlaps(""));
}

}  // namespace
}  // namespace popalign::store
