#include "support/temporary_directory.hpp"
#include "support/test_files.hpp"
#include "unit/store/damage.hpp"

#include <popalign/base/error.hpp>
#include <popalign/store/rows/jsonl.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace popalign::store {
namespace {

class JsonlTest : public ::testing::Test {
  protected:
    std::vector<Instruction> instructions(const std::string& text) {
        write_text_file(path_, text);
        return read_instructions(path_);
    }
    std::string message(const std::string& text) {
        try {
            instructions(text);
        } catch (const InputError& error) {
            return std::string(error.what()).substr(path_.native().size());
        }
        return "";
    }

    test::TemporaryDirectory directory_;
    std::filesystem::path path_ = directory_ / "questions.jsonl";
};

TEST_F(JsonlTest, CountsLinesByNewlinesOnly) {
    // U+2028 and U+0085 end lines elsewhere; here they are text.
    write_text_file(path_,
                    "{\"a\": \"\xE2\x80\xA8\xC2\x85\"}\n\n \t\r\n{\"a\": \"b\"}\r\n{\"a\": \"c\"}");
    std::vector<std::pair<std::size_t, std::string>> seen;
    read_jsonl(path_, [&](std::size_t line, const nlohmann::json& row) {
        seen.emplace_back(line, row.at("a").get<std::string>());
    });
    EXPECT_EQ(seen, (std::vector<std::pair<std::size_t, std::string>>{
                        {1, "\xE2\x80\xA8\xC2\x85"}, {4, "b"}, {5, "c"}}));
}

TEST_F(JsonlTest, ReadsDialogues) {
    const std::vector<Message> before{{Role::user, "One"}, {Role::assistant, "Two"}};
    const auto read = instructions(
        "{\"messages\": [{\"role\": \"user\", \"content\": \"One\"}, {\"role\": \"assistant\", "
        "\"content\": \"Two\"}, {\"role\": \"user\", \"content\": \"Three\"}]}\n"
        "{\"prompt\": [{\"from\": \"human\", \"value\": \"Three\"}]}\n"
        "{\"chosen\": \"\\n\\nHuman: One\\n\\nAssistant: Two\\n\\nHuman: Three\\n\\nAssistant: "
        "Four\", \"rejected\": \"\\n\\nHuman: else\\n\\nAssistant: x\"}\n");
    ASSERT_EQ(read.size(), 3U);
    EXPECT_EQ(read[0].context, before);
    EXPECT_EQ(read[1].context, std::vector<Message>());
    EXPECT_EQ(read[2].context, before) << "HH-RLHF: split at the last answer";
    for (const Instruction& instruction : read)
        EXPECT_EQ(instruction.text, "Three");
    EXPECT_EQ(message("{\"chosen\": \"Human: x\"}\n").substr(0, 4), ":1: ");
    EXPECT_EQ(message("{\"messages\": [{\"role\": \"tool\", \"content\": \"\"}]}\n").substr(0, 4),
              ":1: ");
}

TEST_F(JsonlTest, ReadsInstructionsOfAllSpellings) {
    const auto read = instructions(
        "{\"id\": \"x\", \"instruction\": \"One\", \"source\": \"s\"}\n"
        "{\"prompt\": \"Two\", \"category\": \"c\"}\n"
        "\n"
        "{\"id\": 7, \"text\": \"Three\", \"other\": [1]}\n");
    ASSERT_EQ(read.size(), 3U);
    EXPECT_EQ(read[0], (Instruction{"x", "s", "One", Split::train}));
    EXPECT_EQ(read[1], (Instruction{"questions-2", "c", "Two", Split::train}));
    EXPECT_EQ(read[2], (Instruction{"7", "", "Three", Split::train}));
}

TEST_F(JsonlTest, NamesFileAndLine) {
    const std::string good = "{\"prompt\": \"a\"}\n";
    const auto expect = [&](const std::string& text, const std::string& start,
                            const std::string& part) {
        const std::string found = message(text);
        EXPECT_TRUE(found.starts_with(start)) << found;
        EXPECT_NE(found.find(part), std::string::npos) << found;
        EXPECT_EQ(found.find('\n'), std::string::npos) << found;
    };
    expect(good + "{\"prompt\": \n", ":2: not JSON (", "); correct or remove the line");
    expect(good + good + "{\"prompt\": \"\x01\"}", ":3: not JSON (", "correct or remove");
    expect("{\"prompt\": \"\xFF\"}", ":1: not JSON (", "UTF-8");
    expect("{\"prompt\": \"a\"} {}", ":1: not JSON (", "");
    expect("[1]", ":1: not an object", "");
    expect("{\"promt\": \"a\"}", ":1: no `instruction`", "");
    expect("{\"prompt\": 3}", ":1: a value is missing or of the wrong type", "must be string");
    expect("{\"prompt\": \"a\", \"id\": [[]]}", ":1: a value is missing or of the wrong type", "");
    expect("{\"prompt\": \" \\n\"}", ":1: the instruction is empty", "");
    expect("{\"prompt\": \"a\", \"id\": 1}\n{\"prompt\": \"b\", \"id\": \"1\"}", ":2: the id '1'",
           "twice");
    expect("", ": holds no instruction", "");
    expect("\n\n", ": holds no instruction", "");
    expect(std::string(200'000, '['), ":1: not JSON (", "");
}

TEST_F(JsonlTest, SaysThatAFileIsAbsent) {
    for (const auto& path : {directory_ / "absent.jsonl", directory_.path()})
        try {
            read_instructions(path);
            ADD_FAILURE();
        } catch (const InputError& error) {
            EXPECT_NE(std::string(error.what()).find("no such file"), std::string::npos);
        }
}

TEST_F(JsonlTest, PassesOtherExceptionsOn) {
    write_text_file(path_, "{}\n");
    EXPECT_THROW(read_jsonl(path_, [](std::size_t, const auto&) { throw UsageError("x"); }),
                 UsageError);
    EXPECT_THROW(read_jsonl(path_, [](std::size_t, const auto& row) { row.at("a"); }), InputError);
}

TEST_F(JsonlTest, NeverCrashesOnDamage) {
    write_text_file(path_,
                    "{\"id\": \"a\", \"prompt\": \"\\ud83d\\ude00 é 1e5\"}\n"
                    "{\"id\": -1, \"text\": \"b\", \"source\": \"x\", \"n\": [1e3, {}]}\n");
    test::read_damaged(path_, 1, 3000, [](const auto& path) { read_instructions(path); });
}

TEST_F(JsonlTest, ReadsTheInstructionsOfTheProject) {
    EXPECT_GE(read_instructions(test::source_file("data/instructions.jsonl")).size(), 160U);
}

}  // namespace
}  // namespace popalign::store
