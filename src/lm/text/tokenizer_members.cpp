#include "lm/text/tokenizer_members.hpp"

#include "lm/text/unicode.hpp"

#include <popalign/base/error.hpp>

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <map>

namespace popalign::lm {
namespace {

using nlohmann::json;

/// Pre-tokenizer that a name in `tokenizer.ggml.pre` stands for.
struct Family {
    bool compose = false;              ///< NFC
    bool digits_first = false;         ///< every digit alone, before GPT-2's expression
    const char* expression = nullptr;  ///< in place of GPT-2's
    bool whole_words_first = false;
};

const std::map<std::string, Family>& families() {
    static const Family gpt2{};
    static const Family digits_then_gpt2{.digits_first = true};
    static const Family qwen2{
        .compose = true,
        .expression =
            R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
    static const Family llama3{
        .expression =
            R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
        .whole_words_first = true};
    static const std::map<std::string, Family> known{{"default", gpt2},
                                                     {"gpt-2", gpt2},
                                                     {"smollm", digits_then_gpt2},
                                                     {"starcoder", digits_then_gpt2},
                                                     {"refact", digits_then_gpt2},
                                                     {"qwen2", qwen2},
                                                     {"llama-bpe", llama3},
                                                     {"llama3", llama3},
                                                     {"llama-v3", llama3}};
    return known;
}

const Family& find_family(const std::string& name) {
    const auto found = families().find(name);
    if (found != families().end())
        return found->second;
    std::vector<std::string> names;
    for (const auto& [known, family] : families())
        names.push_back(known);
    throw UsageError(fmt::format("pre-tokenizer '{}' is not supported; known are {}", name,
                                 fmt::join(names, ", ")));
}

json byte_level(bool use_regex) {
    return {{"type", "ByteLevel"},
            {"add_prefix_space", false},
            {"trim_offsets", true},
            {"use_regex", use_regex}};
}

json pre_tokenizer(const Family& family) {
    json steps = json::array();
    if (family.digits_first)
        steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
    if (family.expression != nullptr)
        steps.push_back({{"type", "Split"},
                         {"pattern", {{"Regex", family.expression}}},
                         {"behavior", "Isolated"},
                         {"invert", false}});
    steps.push_back(byte_level(family.expression == nullptr));
    return {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
}

json added_tokens(const TokenList& tokens) {
    json added = json::array();
    for (std::size_t id = 0; id < tokens.texts.size(); ++id) {
        const auto type = tokens.types[id];
        if (type == control || type == unknown || type == user_defined)
            added.push_back({{"id", id},
                             {"content", tokens.texts[id]},
                             {"single_word", false},
                             {"lstrip", false},
                             {"rstrip", false},
                             {"normalized", false},
                             {"special", type != user_defined}});
    }
    return added;
}

}  // namespace

json vocabulary_of(const TokenList& tokens) {
    json::object_t entries;
    for (std::size_t id = 0; id < tokens.texts.size(); ++id) {
        if (tokens.types[id] == unused)
            continue;
        if (repair_utf8(tokens.texts[id]) != tokens.texts[id])
            throw UsageError(fmt::format("token {} is not valid UTF-8", id));
        if (!entries.emplace(tokens.texts[id], id).second)
            throw UsageError(fmt::format("token '{}' is there twice", tokens.texts[id]));
    }
    return entries;
}

json byte_level_members(const std::string& family_name, json vocabulary, json merges) {
    const Family& family = find_family(family_name);
    return {{"normalizer", family.compose ? json{{"type", "NFC"}} : json()},
            {"pre_tokenizer", pre_tokenizer(family)},
            {"decoder", byte_level(true)},
            {"model",
             {{"type", "BPE"},
              {"dropout", nullptr},
              {"unk_token", nullptr},
              {"continuing_subword_prefix", nullptr},
              {"end_of_word_suffix", nullptr},
              {"fuse_unk", false},
              {"byte_fallback", false},
              {"ignore_merges", family.whole_words_first},
              {"vocab", std::move(vocabulary)},
              {"merges", std::move(merges)}}}};
}

json complete_tokenizer(json members, const TokenList& tokens) {
    members["version"] = "1.0";
    members["truncation"] = members["padding"] = members["post_processor"] = nullptr;
    members["added_tokens"] = added_tokens(tokens);
    return members;
}

}  // namespace popalign::lm
