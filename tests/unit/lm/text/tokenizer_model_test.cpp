// tokenizer.model files against the library that defines them, and text files of ranks.
#include "support/temporary_directory.hpp"
#include "support/test_files.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/lm/text/tokenizer.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <fstream>
#include <random>

namespace popalign::lm {
namespace {

namespace fs = std::filesystem;
using sentencepiece::SentencePieceProcessor;

void write(const fs::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
}

/// Trains a model as Llama-2's was, but tiny.
std::string train(const fs::path& folder, const std::string& more) {
    std::string text;
    for (int i = 0; i < 200; ++i)
        text +=
            fmt::format("the number {} follows the number {}, naïvely – so it goes\n", i + 1, i);
    write(folder / "text", text);
    std::string model;
    const auto status = sentencepiece::SentencePieceTrainer::Train(
        fmt::format("--input={} --byte_fallback=true --split_digits=true "
                    "--character_coverage=0.99 --minloglevel=2 {}",
                    (folder / "text").native(), more),
        nullptr, &model);
    if (!status.ok())
        throw Error(status.ToString());
    return model;
}

const char* const bpe =
    "--vocab_size=330 --model_type=bpe --normalization_rule_name=identity "
    "--remove_extra_whitespaces=false";

std::string random_text(std::mt19937& random) {
    static const std::vector<std::string> parts{
        "the", "number", " ",     "  ",     "\n",   "1",    "23",          "ï",
        "–",   "goes",   ",",     "é",      "日本", "🙂", "th",          "[USER]",
        "<s>", "</s>",   "<unk>", "<0x41>", "\t",   "so",   "\xE2\x96\x81"};
    std::string text;
    for (auto count = random() % 12; count > 0; --count)
        text += parts[random() % parts.size()];
    return text;
}

void compare(const fs::path& file, int strings) {
    const Tokenizer ours = Tokenizer::from_model_file(file);
    SentencePieceProcessor theirs;
    ASSERT_TRUE(theirs.Load(file.native()).ok());
    EXPECT_EQ(ours.vocabulary_size(), static_cast<std::size_t>(theirs.GetPieceSize()));
    EXPECT_EQ(ours.bos_token(), theirs.bos_id());
    EXPECT_EQ(ours.eos_token(), theirs.eos_id());
    std::mt19937 random(7);
    for (int i = 0; i < strings; ++i) {
        const std::string text = random_text(random);
        const std::vector<int> ids = theirs.EncodeAsIds(text);
        ASSERT_EQ(ours.encode(text), std::vector<TokenId>(ids.begin(), ids.end())) << text;
        ASSERT_EQ(ours.decode(ours.encode(text)), theirs.DecodeIds(ids)) << text;
    }
}

TEST(TokenizerModel, EqualsSentencePiece) {
    const test::TemporaryDirectory folder;
    for (const char* more : {"", "--add_dummy_prefix=false"}) {
        SCOPED_TRACE(more);
        write(folder / "tokenizer.model", train(folder.path(), fmt::format("{} {}", bpe, more)));
        compare(folder / "tokenizer.model", 3000);
    }
}

TEST(TokenizerModel, UserDefinedSymbolsAreTokensAndControlSymbolsText) {
    const test::TemporaryDirectory folder;
    write(folder / "tokenizer.model",
          train(folder.path(), fmt::format("{} --user_defined_symbols=[USER]", bpe)));
    const Tokenizer tokenizer = Tokenizer::from_model_file(folder / "tokenizer.model");
    const auto user = tokenizer.special_token("[USER]");
    ASSERT_TRUE(user.has_value());
    EXPECT_EQ(tokenizer.encode("[USER]"), std::vector<TokenId>{*user});
    EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{*user}), "[USER]");
    for (TokenId token : tokenizer.encode("</s>"))
        EXPECT_FALSE(tokenizer.is_special(token));
}

TEST(TokenizerModel, EqualsSentencePieceOnLlama2) {
    const fs::path file = test::published_file("tokenizers/llama2-tokenizer.model");
    POPALIGN_NEEDS(file);
    compare(file, 20000);
}

std::string refusal(const fs::path& file) {
    try {
        Tokenizer::from_model_file(file);
    } catch (const InputError& error) {
        return error.what();
    }
    return "";
}

void expect_refusal(const std::string& text, const std::string& reason) {
    const test::TemporaryDirectory folder;
    write(folder / "tokenizer.model", text);
    EXPECT_NE(refusal(folder / "tokenizer.model").find(reason), std::string::npos)
        << refusal(folder / "tokenizer.model");
}

TEST(TokenizerModel, RefusesByName) {
    const test::TemporaryDirectory folder;
    expect_refusal(train(folder.path(), "--vocab_size=291 --model_type=unigram"),
                   "normalisation of characters");
    expect_refusal(train(folder.path(),
                         "--vocab_size=291 --model_type=unigram --normalization_rule_name=identity "
                         "--remove_extra_whitespaces=false"),
                   "other than BPE");
    expect_refusal(train(folder.path(),
                         "--vocab_size=330 --model_type=bpe --normalization_rule_name=identity"),
                   "extra white space");
    expect_refusal("IQ== 0\nIg== 2\n", "line 2");
    expect_refusal("I*== 0\n", "no base64");
    expect_refusal("", "empty");
}

/// Files are untrusted: whatever is in them, they load or are refused.
TEST(TokenizerModel, SurvivesDamage) {
    const test::TemporaryDirectory folder;
    const std::string good = train(folder.path(), bpe);
    std::mt19937 random(3);
    for (int i = 0; i < 400; ++i) {
        std::string bad = good.substr(0, i % 2 == 0 ? good.size() : random() % good.size());
        for (auto flips = random() % 4; flips > 0 && !bad.empty(); --flips)
            bad[random() % bad.size()] = static_cast<char>(random());
        write(folder / "tokenizer.model", bad);
        refusal(folder / "tokenizer.model");
    }
}

TEST(TokenizerModel, ReadsRanksAndAddedTokens) {
    const test::TemporaryDirectory folder;
    // "a", "b", " ", "ab", "bab": "bab" is one word, "ab" is merged before "ba" could be.
    write(folder / "tokenizer.model", "YQ== 0\nYg== 1\nIA== 2\nYWI= 3\nYmFi 4\n");
    write(folder / "tokenizer_config.json",
          R"({"added_tokens_decoder": {"5": {"content": "<|end|>", "special": true}},
              "eos_token": "<|end|>"})");
    const Tokenizer tokenizer = Tokenizer::from_model_file(folder / "tokenizer.model");
    EXPECT_EQ(tokenizer.encode("bab"), (std::vector<TokenId>{4}));
    EXPECT_EQ(tokenizer.encode("abab"), (std::vector<TokenId>{3, 3}));
    EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{4, 2, 3, 5}), "bab ab");
    EXPECT_EQ(tokenizer.eos_token(), 5);
    EXPECT_EQ(tokenizer.bos_token(), std::nullopt);
}

}  // namespace
}  // namespace popalign::lm
