#include "lm/sentence_pieces.hpp"
#include "lm/tokenizer_from_json.hpp"
#include "lm/unicode.hpp"

#include <popalign/base/error.hpp>

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <map>
#include <vector>

namespace popalign {
namespace {

using nlohmann::json;

/// `tokenizer.ggml.token_type`, as llama.cpp numbers them.
enum TokenType : std::int64_t {
    normal = 1,
    unknown = 2,
    control = 3,
    user_defined = 4,
    unused = 5
};

/// What the name in `tokenizer.ggml.pre` stands for.
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

std::vector<std::int64_t> token_types(const GgufFile& file, std::size_t count) {
    auto types = file.integers("tokenizer.ggml.token_type");
    if (types.empty())
        types.assign(count, normal);
    if (types.size() != count)
        throw UsageError(
            fmt::format("there are {} tokens but {} token types", count, types.size()));
    return types;
}

json vocabulary(const std::vector<std::string>& tokens, const std::vector<std::int64_t>& types) {
    json::object_t entries;
    for (std::size_t id = 0; id < tokens.size(); ++id) {
        if (types[id] == unused)
            continue;
        if (repair_utf8(tokens[id]) != tokens[id])
            throw UsageError(fmt::format("token {} is not valid UTF-8", id));
        if (!entries.emplace(tokens[id], id).second)
            throw UsageError(fmt::format("token '{}' is there twice", tokens[id]));
    }
    return entries;
}

json added_tokens(const std::vector<std::string>& tokens, const std::vector<std::int64_t>& types) {
    json added = json::array();
    for (std::size_t id = 0; id < tokens.size(); ++id)
        if (types[id] == control || types[id] == unknown || types[id] == user_defined)
            added.push_back({{"id", id},
                             {"content", tokens[id]},
                             {"single_word", false},
                             {"lstrip", false},
                             {"rstrip", false},
                             {"normalized", false},
                             {"special", types[id] != user_defined}});
    return added;
}

/// `normalizer`, `pre_tokenizer`, `decoder` and `model` of a byte-level tokenizer.
json byte_level_members(const GgufFile& file, json vocabulary) {
    const Family& family = find_family(file.text("tokenizer.ggml.pre").value_or("default"));
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
              {"merges", file.texts("tokenizer.ggml.merges")}}}};
}

json sentence_piece_members(const GgufFile& file, json vocabulary) {
    constexpr std::size_t longest_piece = 1024;
    SentencePieces pieces{file.texts("tokenizer.ggml.tokens"),
                          file.numbers("tokenizer.ggml.scores"),
                          file.integer("tokenizer.ggml.add_space_prefix").value_or(1) != 0};
    if (pieces.scores.size() != pieces.pieces.size())
        throw UsageError(fmt::format("there are {} tokens but {} scores", pieces.pieces.size(),
                                     pieces.scores.size()));
    for (std::size_t id = 0; id < pieces.pieces.size(); ++id)
        if (!std::isfinite(pieces.scores[id]) || pieces.pieces[id].size() > longest_piece)
            throw UsageError(fmt::format("token {} has no score or is too long", id));
    return sentence_piece_members(pieces, std::move(vocabulary));
}

json tokenizer_json(const GgufFile& file) {
    const auto model = file.text("tokenizer.ggml.model").value_or("none");
    if (model != "gpt2" && model != "llama")
        throw UsageError(
            fmt::format("tokenizer model '{}' is not supported; known are gpt2 "
                        "(byte-level BPE) and llama (SentencePiece BPE)",
                        model));
    const auto& tokens = file.texts("tokenizer.ggml.tokens");
    if (tokens.empty())
        throw UsageError("the file holds no tokens");
    const auto types = token_types(file, tokens.size());
    json result = model == "gpt2" ? byte_level_members(file, vocabulary(tokens, types))
                                  : sentence_piece_members(file, vocabulary(tokens, types));
    result["version"] = "1.0";
    result["truncation"] = result["padding"] = result["post_processor"] = nullptr;
    result["added_tokens"] = added_tokens(tokens, types);
    return result;
}

std::optional<TokenId> named_token(const GgufFile& file, std::string_view key,
                                   const Tokenizer::Tables& tables) {
    const auto id = file.integer(key);
    if (!id)
        return std::nullopt;
    if (*id < 0 || *id >= std::ssize(tables.bytes))
        throw InputError(file.path().native(),
                         fmt::format("{} is {}, which is no token", key, *id));
    return static_cast<TokenId>(*id);
}

}  // namespace

Tokenizer Tokenizer::from_gguf(const GgufFile& file) {
    const std::string& name = file.path().native();
    nlohmann::json parsed;
    std::string text;
    try {
        parsed = tokenizer_json(file);
        text = parsed.dump(2);
    } catch (const nlohmann::json::exception& error) {
        throw InputError(name, fmt::format("the tokenizer is malformed ({})", error.what()));
    } catch (const UsageError& error) {
        throw InputError(name, error.what());
    }
    auto tables = read_tokenizer(parsed, std::move(text), name);
    tables->bos = named_token(file, "tokenizer.ggml.bos_token_id", *tables);
    tables->eos = named_token(file, "tokenizer.ggml.eos_token_id", *tables);
    return Tokenizer(std::move(tables));
}

}  // namespace popalign
