#include "lm/text/sentence_pieces.hpp"
#include "lm/text/tokenizer_from_json.hpp"
#include "lm/text/tokenizer_members.hpp"

#include <popalign/base/error.hpp>
#include <popalign/store/weights/gguf.hpp>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <vector>

namespace popalign::lm {
namespace {

using nlohmann::json;

std::vector<std::int64_t> token_types(const store::GgufFile& file, std::size_t count) {
    auto types = file.integers("tokenizer.ggml.token_type");
    if (types.empty())
        types.assign(count, normal);
    if (types.size() != count)
        throw UsageError(
            fmt::format("there are {} tokens but {} token types", count, types.size()));
    return types;
}

json sentence_piece_members(const store::GgufFile& file, json vocabulary) {
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

json tokenizer_json(const store::GgufFile& file) {
    const auto model = file.text("tokenizer.ggml.model").value_or("none");
    if (model != "gpt2" && model != "llama")
        throw UsageError(
            fmt::format("tokenizer model '{}' is not supported; known are gpt2 "
                        "(byte-level BPE) and llama (SentencePiece BPE)",
                        model));
    TokenList tokens{file.texts("tokenizer.ggml.tokens"), {}};
    if (tokens.texts.empty())
        throw UsageError("the file holds no tokens");
    tokens.types = token_types(file, tokens.texts.size());
    json vocabulary = vocabulary_of(tokens);
    return complete_tokenizer(
        model == "gpt2"
            ? byte_level_members(file.text("tokenizer.ggml.pre").value_or("default"),
                                 std::move(vocabulary), file.texts("tokenizer.ggml.merges"))
            : sentence_piece_members(file, std::move(vocabulary)),
        tokens);
}

std::optional<TokenId> named_token(const store::GgufFile& file, std::string_view key,
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

Tokenizer Tokenizer::from_gguf(const store::GgufFile& file) {
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

}  // namespace popalign::lm
