#include "support/temporary_directory.hpp"
#include "support/tiny_tokenizer.hpp"

#include <popalign/base/error.hpp>
#include <popalign/lm/text/tokenizer.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

namespace popalign::lm {
namespace {

using test::added_token;
using test::tiny_tokenizer;
using Ids = std::vector<TokenId>;

Tokenizer load(const nlohmann::json& json) {
    return Tokenizer::from_json_text(json.dump(), "tiny");
}

TEST(Tokenizer, MergesByRankThenPosition) {
    const Tokenizer tokenizer = load(tiny_tokenizer({"b c", "a b", "bc d", "a a"}));
    EXPECT_EQ(tokenizer.encode("abc"), (Ids{'a', 256}));
    EXPECT_EQ(tokenizer.encode("abab"), (Ids{257, 257}));
    EXPECT_EQ(tokenizer.encode("abcd"), (Ids{'a', 258}));
    EXPECT_EQ(tokenizer.encode("aaa"), (Ids{259, 'a'}));
}

TEST(Tokenizer, WholeWordsComeFirstOnlyIfAsked) {
    nlohmann::json json = tiny_tokenizer({"a b", "b c"});
    json["model"]["vocab"]["abc"] = 258;
    EXPECT_EQ(load(json).encode("abc"), (Ids{256, 'c'}));
    json["model"]["ignore_merges"] = true;
    EXPECT_EQ(load(json).encode("abc"), (Ids{258}));
}

TEST(Tokenizer, UnknownBytesAreDroppedOrNamed) {
    nlohmann::json json = tiny_tokenizer({});
    json["model"]["vocab"].erase("x");
    EXPECT_EQ(load(json).encode("axxb"), (Ids{'a', 'b'}));
    json["model"]["unk_token"] = "?";
    EXPECT_EQ(load(json).encode("axxb"), (Ids{'a', '?', '?', 'b'}));
    json["model"]["fuse_unk"] = true;
    EXPECT_EQ(load(json).encode("axxb"), (Ids{'a', '?', 'b'}));
}

TEST(Tokenizer, SpecialTokensInTextAreText) {
    nlohmann::json json = tiny_tokenizer({});
    json["added_tokens"] = {added_token(256, "<s>", true), added_token(257, "<t>", false),
                            added_token(258, "<s><t>", true)};
    const Tokenizer tokenizer = load(json);
    EXPECT_EQ(tokenizer.encode("<s>"), (Ids{'<', 's', '>'}));
    EXPECT_EQ(tokenizer.encode("a<t>b"), (Ids{'a', 257, 'b'}));
    // The longest match wins, and a special one is then passed over with all it covers.
    EXPECT_EQ(tokenizer.encode("<s><t>"), (Ids{'<', 's', '>', '<', 't', '>'}));
    EXPECT_EQ(tokenizer.special_token("<s>"), 256);
    EXPECT_EQ(tokenizer.special_token("a"), std::nullopt);
    EXPECT_TRUE(tokenizer.is_special(256));
    EXPECT_FALSE(tokenizer.is_special(257));
    EXPECT_FALSE(tokenizer.is_special(-1));
    EXPECT_EQ(tokenizer.vocabulary_size(), 259);
    EXPECT_EQ(tokenizer.decode(Ids{256, 'a', 257}), "a<t>");
    EXPECT_EQ(tokenizer.decode_with_special(Ids{256, 'a', 257}), "<s>a<t>");
}

TEST(Tokenizer, AddedTokensTakeWhiteSpaceBesideThem) {
    nlohmann::json json = tiny_tokenizer({});
    json["added_tokens"] = nlohmann::json::array({added_token(256, "<x>", false)});
    json["added_tokens"][0]["lstrip"] = json["added_tokens"][0]["rstrip"] = true;
    const Tokenizer tokenizer = load(json);
    EXPECT_EQ(tokenizer.encode("a <x> b"), (Ids{'a', 256, 'b'}));
    EXPECT_EQ(tokenizer.encode(" <x>  <x>\u3000b"), (Ids{256, 256, 'b'}));
}

TEST(Tokenizer, NormalisesToNfcOnlyIfAsked) {
    nlohmann::json json = tiny_tokenizer({});
    EXPECT_EQ(load(json).encode("e\u0301").size(), 3);
    json["normalizer"] = {{"type", "NFC"}};
    EXPECT_EQ(load(json).encode("e\u0301"), (Ids{0xC3, 0xA9}));
    // Marks are put in order, but not those that are newer than the reference's tables.
    EXPECT_EQ(load(json).decode(load(json).encode("q\u0301\u0316")), "q\u0316\u0301");
    EXPECT_EQ(load(json).decode(load(json).encode("q\u0301\u1AC3")), "q\u0301\u1AC3");
}

TEST(Tokenizer, ReplacesInvalidUtf8) {
    const Tokenizer tokenizer = load(tiny_tokenizer({}));
    // Parts as Unicode counts them: a cut sequence is one, each byte of a surrogate is one.
    for (const auto& [bytes, replaced] : std::vector<std::pair<std::string, std::string>>{
             {"a\xFF"
              "b",
              "a\uFFFDb"},
             {"\xE4\xBD", "\uFFFD"},
             {"\xE4\xBDz", "\uFFFDz"},
             {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"},
             {"\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},
             {"\xC0\xAF", "\uFFFD\uFFFD"},
             {"\xF0\x9F\x91", "\uFFFD"}}) {
        EXPECT_EQ(tokenizer.encode(bytes), tokenizer.encode(replaced));
        Ids ids;
        for (char byte : bytes)
            ids.push_back(static_cast<unsigned char>(byte));
        EXPECT_EQ(tokenizer.decode(ids), replaced);
    }
}

TEST(Tokenizer, DecodingSkipsIdsThatNoTokenHas) {
    EXPECT_EQ(load(tiny_tokenizer({})).decode(Ids{'a', 999999, -5, 'b'}), "ab");
}

TEST(Tokenizer, WordsOfAMillionBytesTakeSeconds) {
    const Tokenizer tokenizer = load(tiny_tokenizer({"a a", "aa aa", "aaaa aaaa", "a b", "ab ab"}));
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(tokenizer.encode(std::string(1'000'000, 'a')).size(), 125'000);
    EXPECT_EQ(tokenizer.encode(std::string(1'000'000, ' ')).size(), 1'000'000);
    std::string marks = "q";
    for (int i = 0; i < 200'000; ++i)
        marks += i % 2 == 0 ? "\u0301" : "\u0316";
    nlohmann::json nfc = tiny_tokenizer({});
    nfc["normalizer"] = {{"type", "NFC"}};
    EXPECT_EQ(load(nfc).encode(marks).size(), 400'001);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(Tokenizer, KeepsTheTextItCameFrom) {
    const std::string text = tiny_tokenizer({"a b"}).dump(3);
    const Tokenizer tokenizer = Tokenizer::from_json_text(text, "tiny");
    EXPECT_EQ(tokenizer.json(), text);
    EXPECT_EQ(tokenizer.sha256().size(), 64);
}

TEST(Tokenizer, FindsBosAndEosInTheConfigBesideIt) {
    const test::TemporaryDirectory directory;
    nlohmann::json json = tiny_tokenizer({});
    json["added_tokens"] = {added_token(256, "<s>", true), added_token(257, "</s>", true)};
    std::ofstream(directory / "tokenizer.json") << json;
    std::ofstream(directory / "tokenizer_config.json")
        << nlohmann::json{{"bos_token", {{"content", "<s>"}}}, {"eos_token", "</s>"}};
    const Tokenizer tokenizer = Tokenizer::from_json(directory / "tokenizer.json");
    EXPECT_EQ(tokenizer.bos_token(), 256);
    EXPECT_EQ(tokenizer.eos_token(), 257);
}

}  // namespace
}  // namespace popalign::lm
