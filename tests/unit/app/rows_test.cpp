#include "app/command/rows.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <support/temporary_directory.hpp>
#include <support/world.hpp>

#include <fstream>

namespace popalign::app {
namespace {

using test::world;

/// A model of the letters a and b, without a chat template; read by all ranks.
lm::ModelFrontEnd letters(const std::filesystem::path& folder,
                          const std::string& chat_template = "") {
    comm::run_on_all(world(), [&] {
        if (!world().is_root())
            return;
        const nlohmann::json byte_level{
            {"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};
        write_text_file(folder / "tokenizer.json",
                        nlohmann::json{{"version", "1.0"},
                                       {"added_tokens", nlohmann::json::array()},
                                       {"pre_tokenizer", byte_level},
                                       {"decoder", byte_level},
                                       {"model",
                                        {{"type", "BPE"},
                                         {"vocab", {{"a", 0}, {"b", 1}}},
                                         {"merges", nlohmann::json::array()}}}}
                            .dump());
    });
    return lm::load_front_end(folder, chat_template);
}

PromptRow read(const char* row, const lm::ModelFrontEnd& front_end) {
    return read_prompt_row(nlohmann::json::parse(row), front_end, "letters", "prompts.jsonl", 7);
}

TEST(PromptRows, HaveAnIdAndTokens) {
    const test::TemporaryDirectory folder;
    const lm::ModelFrontEnd front_end = letters(folder.path());
    const PromptRow row = read(R"({"prompt": "abba"})", front_end);
    EXPECT_EQ(row.id, "7");  // the line, where the row has none
    EXPECT_EQ(row.text, "abba");
    EXPECT_EQ(row.tokens, (std::vector<TokenId>{0, 1, 1, 0}));
    EXPECT_EQ(read(R"({"id": "x", "prompt": "a"})", front_end).id, "x");
    EXPECT_EQ(read(R"({"id": 12, "prompt": "a"})", front_end).id, "12");
    comm::barrier(world());
}

TEST(PromptRows, ErrorsNameTheFileAndTheLine) {
    const test::TemporaryDirectory folder;
    const lm::ModelFrontEnd front_end = letters(folder.path());
    for (const auto& [row, problem] : std::map<const char*, std::string>{
             {R"({"text": "a"})", "needs `prompt` or `messages`"},
             {R"({"prompt": 3})", "needs `prompt` or `messages`"},
             {R"({"prompt": ""})", "the prompt is empty"},
             {R"({"messages": [{"role": "user", "content": "a"}]})", "no chat template"},
             {R"({"messages": [{"role": "user"}]})", ""}}) {
        try {
            read(row, front_end);
            ADD_FAILURE() << row;
        } catch (const InputError& error) {
            const std::string message = error.what();
            EXPECT_TRUE(message.starts_with("prompts.jsonl:7: ")) << message;
            EXPECT_NE(message.find(problem), std::string::npos) << message;
            EXPECT_EQ(message.find('\n'), std::string::npos) << message;
        }
    }
    comm::barrier(world());
}

TEST(RankOrder, PartsFollowEachOtherInOneFile) {
    const test::TemporaryDirectory folder;
    const auto path = folder / "out.jsonl";
    std::string expected;
    for (int rank = 0; rank < world().size(); ++rank)
        expected += std::string(static_cast<std::size_t>(3 * rank + 1), 'a') + "\n";
    for (const std::string& content : {expected, std::string()}) {  // the second replaces the first
        const std::string mine =
            content.empty()
                ? ""
                : std::string(static_cast<std::size_t>(3 * world().rank() + 1), 'a') + "\n";
        write_in_rank_order(world(), path, mine);
        EXPECT_EQ(read_text_file(path), content);
        comm::barrier(world());
    }
}

TEST(RankOrder, APartMayBeEmpty) {
    const test::TemporaryDirectory folder;
    write_in_rank_order(world(), folder / "out",
                        world().rank() == world().size() - 1 ? "the last" : "");
    EXPECT_EQ(read_text_file(folder / "out"), "the last");
    comm::barrier(world());
}

TEST(RankOrder, AllRanksLearnOfAFailureAndNothingIsLeft) {
    const test::TemporaryDirectory folder;
    EXPECT_THROW(write_in_rank_order(world(), folder / "missing/out", "text"), comm::AgreedError);
    comm::run_on_all(world(), [&] {
        if (world().is_root())
            std::filesystem::create_directories(folder / "taken/by-a-folder");
    });
    EXPECT_THROW(write_in_rank_order(world(), folder / "taken", "text"), comm::AgreedError);
    comm::barrier(world());
    std::size_t entries = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
        EXPECT_EQ(entry.path().filename(), "taken");
        ++entries;
    }
    EXPECT_EQ(entries, 1U);
    comm::barrier(world());
}

}  // namespace
}  // namespace popalign::app
