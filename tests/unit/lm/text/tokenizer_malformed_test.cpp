// Tokenizer files are untrusted: whatever is in them, they load or are refused by an InputError.
#include "support/tiny_tokenizer.hpp"

#include <popalign/base/error.hpp>
#include <popalign/lm/text/tokenizer.hpp>

#include <gtest/gtest.h>

#include <random>

namespace popalign::lm {
namespace {

using nlohmann::json;
using test::added_token;
using test::tiny_tokenizer;

std::string refusal(const std::string& text) {
    try {
        Tokenizer::from_json_text(text, "tokenizer.json");
    } catch (const InputError& error) {
        return error.what();
    }
    return "";
}

void expect_refusal(const json& file, const std::string& reason) {
    const std::string message = refusal(file.dump());
    EXPECT_NE(message.find("tokenizer.json"), std::string::npos) << reason;
    EXPECT_NE(message.find(reason), std::string::npos) << message;
}

TEST(TokenizerMalformed, UnsupportedPartsAreRefusedByName) {
    const json good = tiny_tokenizer({"a b"});
    const auto with = [&](const char* pointer, const json& value) {
        json changed = good;
        changed[json::json_pointer(pointer)] = value;
        return changed;
    };
    expect_refusal(with("/model/type", "Unigram"), "Unigram");
    expect_refusal(with("/model/byte_fallback", true), "byte_fallback");
    expect_refusal(with("/model/dropout", 0.1), "dropout");
    expect_refusal(with("/normalizer", {{"type", "NFKC"}}), "NFKC");
    expect_refusal(with("/pre_tokenizer", {{"type", "Metaspace"}}), "Metaspace");
    expect_refusal(with("/pre_tokenizer/add_prefix_space", true), "add_prefix_space");
    expect_refusal(with("/decoder/type", "WordPiece"), "decoder");
    json single_word = added_token(257, "x", false);
    single_word["single_word"] = true;
    expect_refusal(with("/added_tokens", json::array({single_word})), "single_word");
}

TEST(TokenizerMalformed, ExpressionsThatMayMeanSomethingElseAreRefused) {
    for (const std::string pattern :
         {R"(^a)", R"(a$)", R"(.)", R"(\w+)", R"(\h)", R"(\p{Han})", R"([[:alpha:]])", R"([a&&b])",
          R"((?<=a)b)", R"(a{,3})", R"(a{2}+)", "é", R"(\)", R"(\p{L)", R"((a)", R"([a)",
          R"([]a])"}) {
        json file = tiny_tokenizer({});
        const json split{{"type", "Split"},
                         {"pattern", {{"Regex", pattern}}},
                         {"behavior", "Isolated"},
                         {"invert", false}};
        file["pre_tokenizer"] = {{"type", "Sequence"},
                                 {"pretokenizers", {split, file["pre_tokenizer"]}}};
        expect_refusal(file, "regular expression");
    }
}

TEST(TokenizerMalformed, ContradictionsAreRefused) {
    const json good = tiny_tokenizer({"a b"});
    json file = good;
    file["model"]["vocab"]["zz"] = 3;
    expect_refusal(file, "two tokens have the id 3");
    for (const json& id : {json(-1), json(1'000'000'000), json(1.5), json("1"), json(1e300)}) {
        file = good;
        file["model"]["vocab"]["zz"] = id;
        expect_refusal(file, "");
    }
    for (const json& merge : {json("a"), json("a b c"), json("a zz"), json("b a"),
                              json::array({"a"}), json(3), json::array({"a", 1})}) {
        file = good;
        file["model"]["merges"].push_back(merge);
        expect_refusal(file, "");
    }
    file = good;
    file["added_tokens"] = json::array({added_token(900, "<s>", true)});
    expect_refusal(file, "900");
    file["added_tokens"] = {added_token(257, "<s>", true), added_token(258, "<s>", true)};
    expect_refusal(file, "twice");
    file = good;
    for (int depth = 0; depth < 10; ++depth)
        file["normalizer"] = {{"type", "Sequence"},
                              {"normalizers", json::array({file["normalizer"]})}};
    expect_refusal(file, "deeply");
}

TEST(TokenizerMalformed, JsonErrorsNameTheLine) {
    EXPECT_NE(refusal("{\n\"model\": \n}").find("tokenizer.json:3"), std::string::npos);
    for (const char* text : {"", "null", "[]", "3", "\"model\"", "{}", R"({"model": []})"})
        EXPECT_NE(refusal(text), "") << text;
    EXPECT_NE(refusal(std::string(1'000'000, '[')), "");
    EXPECT_NE(refusal("{\"version\": 1e99999}"), "");
}

TEST(TokenizerMalformed, RandomDamageNeverCrashes) {
    std::mt19937 random(0);
    json file = tiny_tokenizer({"a b", "ab c"});
    file["added_tokens"] = {added_token(258, "<s>", true), added_token(259, "<t>", false)};
    file["normalizer"] = {{"type", "NFC"}};
    const json flat = file.flatten();
    const json values[] = {nullptr,        -1,        1e18,    "",
                           "ByteLevel",    true,      "Split", json::array(),
                           json::object(), "Sequence"};
    int loaded = 0;
    for (int round = 0; round < 2000; ++round) {
        std::string text;
        if (round % 2 == 0) {
            json damaged = file;
            const auto entry =
                std::next(flat.begin(), static_cast<std::ptrdiff_t>(random() % flat.size()));
            json::json_pointer pointer(entry.key());
            for (auto up = random() % 3; up > 0 && !pointer.empty(); --up)
                pointer.pop_back();
            damaged[pointer] = values[random() % std::size(values)];
            text = damaged.dump();
        } else {
            text = file.dump();
            for (auto changes = 1 + random() % 3; changes > 0; --changes)
                text[random() % text.size()] = static_cast<char>(random());
        }
        try {
            Tokenizer::from_json_text(text, "fuzz").encode("abc <s><t> e\u0301 12");
            ++loaded;
        } catch (const InputError&) {
        }
    }
    EXPECT_GT(loaded, 0);
    EXPECT_LT(loaded, 2000);
}

}  // namespace
}  // namespace popalign::lm
