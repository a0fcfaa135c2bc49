#include "lm/text/bpe_model.hpp"
#include "lm/text/model_files.hpp"
#include "lm/text/sentence_piece_file.hpp"
#include "lm/text/tokenizer_from_json.hpp"
#include "lm/text/tokenizer_members.hpp"
#include "lm/text/unicode.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <ranges>
#include <unordered_map>

namespace popalign::lm {
namespace {

using nlohmann::json;

constexpr std::size_t most_tokens = 4'000'000;

/// A tokenizer as tokenizer.json has it, and what stands for the ends of a text.
struct Description {
    json members;
    TokenList tokens;
    std::optional<std::string> bos, eos;
};

/// Tokens that the model's users added: `added_tokens_decoder` of the tokenizer_config.json.
void add_configured_tokens(const std::filesystem::path& directory, TokenList& tokens) {
    const auto path = directory / "tokenizer_config.json";
    if (!std::filesystem::exists(path))
        return;
    const json config = read_json_file(path);
    const auto found = config.is_object() ? config.find("added_tokens_decoder") : config.end();
    if (found == config.end() || !found->is_object())
        return;
    for (const auto& [key, entry] : found->items()) {
        std::size_t id = 0;
        const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
        if (error != std::errc() || end != key.data() + key.size() || id >= most_tokens)
            throw UsageError(fmt::format("'{}' in added_tokens_decoder is no token's id", key));
        if (id >= tokens.texts.size()) {
            tokens.texts.resize(id + 1);
            tokens.types.resize(id + 1, unused);
        }
        tokens.texts[id] = entry.at("content").get<std::string>();
        tokens.types[id] = entry.value("special", false) ? control : user_defined;
    }
}

std::string decode_base64(std::string_view text) {
    constexpr std::string_view alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    while (text.ends_with('='))
        text.remove_suffix(1);
    std::string bytes;
    unsigned bits = 0, count = 0;
    for (char character : text) {
        const auto value = alphabet.find(character);
        if (value == std::string_view::npos)
            throw UsageError(fmt::format("'{}' is no base64", text));
        bits = bits << 6 | static_cast<unsigned>(value);
        if ((count += 6) >= 8)
            bytes += static_cast<char>(bits >> (count -= 8));
    }
    return bytes;
}

/// Tokens in the order of their ranks, from lines of base64 and rank.
std::vector<std::string> read_ranks(std::string_view text) {
    std::vector<std::string> tokens;
    for (auto part : std::views::split(text, '\n')) {
        const std::string_view line(part.begin(), part.end());
        if (line.empty())
            continue;
        const auto space = line.find(' ');
        if (space == std::string_view::npos ||
            line.substr(space + 1) != std::to_string(tokens.size()))
            throw UsageError(fmt::format("line {} is not a token in base64 and the rank {}",
                                         tokens.size() + 1, tokens.size()));
        tokens.push_back(bytes_to_printable(decode_base64(line.substr(0, space))));
    }
    if (tokens.empty())
        throw UsageError("the file is empty");
    return tokens;
}

/// Every way to make a token of two others is a merge of the token's rank, as in the converter of
/// `transformers`.
json byte_pair_merges(const std::vector<std::string>& tokens) {
    std::unordered_map<std::string_view, std::size_t> ranks;
    for (std::size_t rank = 0; rank < tokens.size(); ++rank)
        ranks.emplace(tokens[rank], rank);
    json merges = json::array();
    for (const std::string& token : tokens) {
        std::vector<std::pair<std::size_t, std::size_t>> parts;
        for (std::size_t cut = 0; cut < token.size();) {
            next_code_point(token, cut);
            const auto left = ranks.find(std::string_view(token).substr(0, cut)),
                       right = ranks.find(std::string_view(token).substr(cut));
            if (left != ranks.end() && right != ranks.end())
                parts.emplace_back(left->second, right->second);
        }
        std::ranges::sort(parts);
        for (const auto& [left, right] : parts)
            merges.push_back({tokens[left], tokens[right]});
    }
    return merges;
}

/// The special tokens of Llama-3, whose own file does not have them.
void add_llama3_tokens(TokenList& tokens) {
    const std::array<std::pair<std::size_t, const char*>, 5> named{{{0, "begin_of_text"},
                                                                    {1, "end_of_text"},
                                                                    {6, "start_header_id"},
                                                                    {7, "end_header_id"},
                                                                    {9, "eot_id"}}};
    for (std::size_t i = 0, reserved = 0; i < 256; ++i) {
        const auto* found =
            std::ranges::find(named, i, [](const auto& entry) { return entry.first; });
        tokens.texts.push_back(found != named.end()
                                   ? fmt::format("<|{}|>", found->second)
                                   : fmt::format("<|reserved_special_token_{}|>", reserved++));
        tokens.types.push_back(control);
    }
}

/// Llama-3's tiktoken file.
Description describe_ranks(std::string_view text, const std::filesystem::path& directory) {
    constexpr std::size_t llama3_tokens = 128000;
    TokenList tokens{read_ranks(text), {}};
    tokens.types.assign(tokens.texts.size(), normal);
    json vocabulary = vocabulary_of(tokens);
    json merges = byte_pair_merges(tokens.texts);
    if (tokens.texts.size() == llama3_tokens)
        add_llama3_tokens(tokens);
    add_configured_tokens(directory, tokens);
    return {byte_level_members("llama-bpe", std::move(vocabulary), std::move(merges)), tokens,
            "<|begin_of_text|>", "<|end_of_text|>"};
}

/// As the published tokenizer.json of Llama-2 and Yi: other than with SentencePiece itself, a space
/// is also put behind a user-defined token inside a text.
Description describe_pieces(std::span<const std::byte> bytes,
                            const std::filesystem::path& directory) {
    const SentencePieceFile file = read_sentence_piece_file(bytes);
    TokenList tokens{file.pieces.pieces, file.types};
    json vocabulary = vocabulary_of(tokens);
    const auto text_of = [&](std::int64_t id) -> std::optional<std::string> {
        if (id < 0 || id >= std::ssize(file.types) ||
            file.types[static_cast<std::size_t>(id)] != control)
            return std::nullopt;
        return file.pieces.pieces[static_cast<std::size_t>(id)];
    };
    add_configured_tokens(directory, tokens);
    return {sentence_piece_members(file.pieces, std::move(vocabulary)), tokens,
            text_of(file.bos_id), text_of(file.eos_id)};
}

/// A SentencePiece model begins with the tag of its first piece, which is no base64.
Description describe(std::string_view text, const std::filesystem::path& directory) {
    return text.starts_with('\n') ? describe_pieces(std::as_bytes(std::span(text)), directory)
                                  : describe_ranks(text, directory);
}

}  // namespace

Tokenizer Tokenizer::from_model_file(const std::filesystem::path& path) {
    const MappedFile mapped(path);
    const std::string_view text(reinterpret_cast<const char*>(mapped.bytes().data()),
                                mapped.bytes().size());
    Description description;
    nlohmann::json parsed;
    std::string json_text;
    try {
        description = describe(text, path.parent_path());
        parsed = complete_tokenizer(std::move(description.members), description.tokens);
        json_text = parsed.dump(2);
    } catch (const nlohmann::json::exception& error) {
        throw InputError(path.native(),
                         fmt::format("the tokenizer is malformed ({})", error.what()));
    } catch (const UsageError& error) {
        throw InputError(path.native(), error.what());
    }
    auto tables = read_tokenizer(parsed, std::move(json_text), path.native());
    const auto find = [&](const std::optional<std::string>& token) -> std::optional<TokenId> {
        const auto found = token ? tables->added.find(*token) : tables->added.end();
        return found == tables->added.end() ? std::nullopt : std::optional(found->second);
    };
    tables->bos = find(description.bos);
    tables->eos = find(description.eos);
    read_configured_tokens(path.parent_path(), *tables);
    return Tokenizer(std::move(tables));
}

}  // namespace popalign::lm
