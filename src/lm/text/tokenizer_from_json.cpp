#include "lm/text/tokenizer_from_json.hpp"

#include "lm/text/model_files.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/base/hash.hpp>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <utility>

namespace popalign::lm {
namespace {

using nlohmann::json;
using Vocabulary = std::unordered_map<std::string, TokenId>;

/// True where a key is absent or holds what changes nothing.
bool is_default(const json& object, const char* key) {
    const auto found = object.find(key);
    return found == object.end() || found->is_null() || *found == "" || *found == false ||
           *found == 0.0;
}

/// Decoder of a tokenizer.json.
struct Decoder {
    BpeModel::Units units = BpeModel::Units::characters;
    std::string mark, space;  ///< `mark` in a token stands for `space`
    std::size_t strip = 0;
};

void add_decoder_step(const json& step, Decoder& decoder) {
    const auto type = step.at("type").get<std::string>();
    if (type == "Replace" && step.at("pattern").contains("String") &&
        step["pattern"]["String"] != "") {
        decoder.mark = step["pattern"]["String"];
        decoder.space = step.at("content");
    } else if (type == "Strip" && step.at("content") == " " && step.at("stop") == 0) {
        decoder.strip = step.at("start");
    } else if (type != "ByteFallback" && type != "Fuse") {
        throw UsageError(fmt::format("decoder '{}' is not supported", type));
    }
}

Decoder read_decoder(const json& description) {
    const auto type = description.at("type").get<std::string>();
    if (type == "ByteLevel")
        return {.units = BpeModel::Units::bytes, .mark = {}, .space = {}};
    if (type != "Sequence")
        throw UsageError(fmt::format("decoder '{}' is not supported", type));
    Decoder decoder;
    for (const auto& step : description.at("decoders"))
        add_decoder_step(step, decoder);
    return decoder;
}

/// The byte of "<0x41>".
std::optional<unsigned char> byte_of(const std::string& token) {
    unsigned value = 0;
    if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>')
        return std::nullopt;
    const char* digits = token.data() + 3;
    const auto [end, error] = std::from_chars(digits, digits + 2, value, 16);
    if (error != std::errc() || end != digits + 2)
        return std::nullopt;
    return static_cast<unsigned char>(value);
}

void check_model(const json& model) {
    if (const auto type = model.value("type", "BPE"); type != "BPE")
        throw UsageError(fmt::format("tokenizer model '{}' is not supported", type));
    for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"})
        if (!is_default(model, key))
            throw UsageError(fmt::format("BPE with {} is not supported", key));
}

Vocabulary read_vocabulary(const json& model) {
    const auto& entries = model.at("vocab").get_ref<const json::object_t&>();
    // Ids index tables, so they may not be far beyond the number of tokens.
    const std::int64_t limit = 2 * static_cast<std::int64_t>(entries.size()) + 65536;
    Vocabulary vocabulary;
    std::vector<bool> taken(static_cast<std::size_t>(limit));
    for (const auto& [token, id] : entries) {
        const auto value = id.get<std::int64_t>();
        if (!id.is_number_integer() || value < 0 || value >= limit)
            throw UsageError(
                fmt::format("token '{}' has the id {}, which is out of range", token, id.dump()));
        if (taken[static_cast<std::size_t>(value)])
            throw UsageError(fmt::format("two tokens have the id {}", value));
        taken[static_cast<std::size_t>(value)] = true;
        vocabulary.emplace(token, static_cast<TokenId>(value));
    }
    return vocabulary;
}

TokenId require_token(const Vocabulary& vocabulary, const std::string& token) {
    const auto found = vocabulary.find(token);
    if (found == vocabulary.end())
        throw UsageError(fmt::format("'{}' is merged or named but not in the vocabulary", token));
    return found->second;
}

std::pair<std::string, std::string> read_merge(const json& entry) {
    if (entry.is_array()) {
        if (entry.size() != 2)
            throw UsageError(fmt::format("merge {} is no pair", entry.dump()));
        return {entry[0].get<std::string>(), entry[1].get<std::string>()};
    }
    const auto text = entry.get<std::string>();
    const auto space = text.find(' ');
    if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos)
        throw UsageError(fmt::format("merge '{}' is no pair", text));
    return {text.substr(0, space), text.substr(space + 1)};
}

BpeModel read_model(const json& model, const Vocabulary& vocabulary, BpeModel::Units units) {
    BpeModel::Options options;
    options.units = units;
    options.byte_fallback = model.value("byte_fallback", false);
    if (options.byte_fallback && units == BpeModel::Units::bytes)
        throw UsageError("BPE with byte_fallback is not supported where bytes are the units");
    if (!is_default(model, "unk_token"))
        options.unknown = require_token(vocabulary, model["unk_token"].get<std::string>());
    options.fuse_unknown = model.value("fuse_unk", false);
    options.whole_words_first = model.value("ignore_merges", false);
    BpeModel bpe(options);
    for (const auto& [token, id] : vocabulary) {
        if (units == BpeModel::Units::characters) {
            bpe.add_token(token, id);
            if (const auto byte = byte_of(token))
                bpe.add_byte_token(*byte, id);
        } else if (const auto bytes = printable_to_bytes(token)) {
            bpe.add_token(*bytes, id);
        }
    }
    for (const auto& entry : model.at("merges").get_ref<const json::array_t&>()) {
        const auto [left, right] = read_merge(entry);
        const TokenId first = require_token(vocabulary, left);
        const TokenId second = require_token(vocabulary, right);
        bpe.add_merge(first, second, require_token(vocabulary, left + right));
    }
    return bpe;
}

AddedToken read_added_token(const json& entry) {
    AddedToken token;
    token.content = entry.at("content").get<std::string>();
    token.special = entry.at("special").get<bool>();
    token.normalized = entry.at("normalized").get<bool>();
    token.lstrip = entry.at("lstrip").get<bool>();
    token.rstrip = entry.at("rstrip").get<bool>();
    if (entry.at("single_word").get<bool>() && !token.special)
        throw UsageError(
            fmt::format("added token '{}' with single_word is not supported", token.content));
    return token;
}

/// `tokenizers` gives added tokens the id of the vocabulary or the next free one, whatever the file
/// says; a file that says otherwise would mean different ids to different readers.
TokenId check_id(const json& entry, const AddedToken& token, const Vocabulary& vocabulary,
                 TokenId next_id) {
    const auto known = vocabulary.find(token.content);
    const TokenId expected = known != vocabulary.end() ? known->second : next_id;
    if (entry.at("id").get<std::int64_t>() != expected)
        throw UsageError(fmt::format("added token '{}' has the id {}, where {} is due",
                                     token.content, entry["id"].dump(), expected));
    return expected;
}

void set_token(Tokenizer::Tables& tables, const Decoder& decoder, const std::string& token,
               TokenId id) {
    const auto index = static_cast<std::size_t>(id);
    if (tables.bytes.size() <= index) {
        tables.bytes.resize(index + 1);
        tables.special.resize(index + 1);
    }
    if (decoder.units == BpeModel::Units::bytes) {
        tables.bytes[index] = printable_to_bytes(token).value_or(token);
    } else if (const auto byte = byte_of(token)) {
        tables.single_bytes.resize(std::max(tables.single_bytes.size(), index + 1));
        tables.single_bytes[index] = true;
        tables.bytes[index] = static_cast<char>(*byte);
    } else {
        tables.bytes[index] =
            decoder.mark.empty() ? token : replace_all(token, decoder.mark, decoder.space);
    }
}

void read_added_tokens(const json& entries, const Vocabulary& vocabulary, const Decoder& decoder,
                       Tokenizer::Tables& tables) {
    auto next_id = static_cast<TokenId>(vocabulary.size());
    for (const auto& entry : entries) {
        AddedToken token = read_added_token(entry);
        if (token.content.empty())
            continue;
        if (tables.added.contains(token.content))
            throw UsageError(fmt::format("added token '{}' is there twice", token.content));
        token.id = check_id(entry, token, vocabulary, next_id);
        next_id = std::max(next_id, token.id + 1);
        tables.added.emplace(token.content, token.id);
        set_token(tables, decoder, token.content, token.id);
        tables.special[static_cast<std::size_t>(token.id)] = token.special;
        tables.template_matcher.add(token, token.content);
        if (token.normalized)
            tables.normalized_matcher.add(token, tables.normalizer.apply(token.content));
        else
            tables.raw_matcher.add(token, token.content);
    }
}

std::shared_ptr<Tokenizer::Tables> build(const json& file, std::string text) {
    const auto& model = file.at("model");
    check_model(model);
    const Decoder decoder = read_decoder(file.at("decoder"));
    const Normalizer normalizer(file.value("normalizer", json()));
    const Vocabulary vocabulary = read_vocabulary(model);
    auto tables = std::make_shared<Tokenizer::Tables>(Tokenizer::Tables{
        .json = std::move(text),
        .sha256 = {},
        .bytes = {},
        .special = {},
        .single_bytes = {},
        .strip = decoder.strip,
        .added = {},
        .raw_matcher = {},
        .normalized_matcher = {},
        .template_matcher = {},
        .normalizer = normalizer,
        .pre_tokenizer =
            PreTokenizer(file.value("pre_tokenizer", json()), decoder.units, normalizer),
        .bpe = read_model(model, vocabulary, decoder.units),
        .bos = {},
        .eos = {}});
    tables->sha256 = sha256_hex(tables->json);
    for (const auto& [token, id] : vocabulary)
        set_token(*tables, decoder, token, id);
    read_added_tokens(file.value("added_tokens", json::array()), vocabulary, decoder, *tables);
    return tables;
}

/// Sets `id` if `key` names a token.
void read_configured_token(const json& config, const char* key, const Tokenizer::Tables& tables,
                           std::optional<TokenId>& id) {
    if (!config.is_object() || !config.contains(key))
        return;
    const json& entry = config[key];
    const json& content = entry.is_object() ? entry.value("content", json()) : entry;
    if (!content.is_string())
        return;
    if (const auto found = tables.added.find(content.get<std::string>());
        found != tables.added.end())
        id = found->second;
}

}  // namespace

std::shared_ptr<Tokenizer::Tables> read_tokenizer(const json& parsed, std::string text,
                                                  const std::string& file) {
    try {
        return build(parsed, std::move(text));
    } catch (const UsageError& error) {
        throw InputError(file, error.what());
    } catch (const json::exception& error) {
        throw InputError(file, fmt::format("this is no tokenizer.json ({})", error.what()));
    }
}

Tokenizer Tokenizer::from_json_text(const std::string& text, const std::string& file) {
    return Tokenizer(read_tokenizer(parse_json(text, file), text, file));
}

void read_configured_tokens(const std::filesystem::path& directory, Tokenizer::Tables& tables) {
    const auto path = directory / "tokenizer_config.json";
    if (!std::filesystem::exists(path))
        return;
    const json config = read_json_file(path);
    read_configured_token(config, "bos_token", tables, tables.bos);
    read_configured_token(config, "eos_token", tables, tables.eos);
}

Tokenizer Tokenizer::from_json(const std::filesystem::path& path) {
    const std::string text = read_text_file(path);
    auto tables = read_tokenizer(parse_json(text, path.native()), text, path.native());
    read_configured_tokens(path.parent_path(), *tables);
    return Tokenizer(std::move(tables));
}

}  // namespace popalign::lm
