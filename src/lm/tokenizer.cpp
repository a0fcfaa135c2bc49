#include "lm/tokenizer_tables.hpp"
#include "lm/unicode.hpp"

#include <popalign/lm/tokenizer.hpp>

#include <utility>

namespace popalign {
namespace {

void encode_text(const Tokenizer::Tables& tables, std::string_view text, BpeModel::Scratch& scratch,
                 std::vector<TokenId>& ids) {
    for (const auto& section : tables.normalized_matcher.split(text)) {
        if (section.token) {
            ids.push_back(*section.token);
            continue;
        }
        for (std::string_view word : tables.pre_tokenizer.split(section.text))
            tables.bpe.encode(word, scratch, ids);
    }
}

enum class SpecialTokens { keep, leave_out };

std::string decode_tokens(const Tokenizer::Tables& tables, std::span<const TokenId> tokens,
                          SpecialTokens special) {
    std::string bytes;
    for (TokenId token : tokens) {
        // Negative ids become large indices, which no token has.
        const auto index = static_cast<std::size_t>(token);
        if (index < tables.bytes.size() &&
            (special == SpecialTokens::keep || !tables.special[index]))
            bytes += tables.bytes[index];
    }
    return repair_utf8(bytes);
}

}  // namespace

std::vector<TokenId> Tokenizer::encode(std::string_view text) const {
    const std::string repaired = repair_utf8(text);
    BpeModel::Scratch scratch;
    std::vector<TokenId> ids;
    for (const auto& section : tables_->raw_matcher.split(repaired)) {
        if (section.token)
            ids.push_back(*section.token);
        else if (tables_->compose)
            encode_text(*tables_, compose_nfc(std::string(section.text)), scratch, ids);
        else
            encode_text(*tables_, section.text, scratch, ids);
    }
    return ids;
}

std::string Tokenizer::decode(std::span<const TokenId> tokens) const {
    return decode_tokens(*tables_, tokens, SpecialTokens::leave_out);
}

std::string Tokenizer::decode_with_special(std::span<const TokenId> tokens) const {
    return decode_tokens(*tables_, tokens, SpecialTokens::keep);
}

std::optional<TokenId> Tokenizer::special_token(std::string_view text) const {
    const auto found = tables_->added.find(std::string(text));
    return found == tables_->added.end() ? std::nullopt : std::optional(found->second);
}

bool Tokenizer::is_special(TokenId token) const {
    const auto index = static_cast<std::size_t>(token);
    return index < tables_->special.size() && tables_->special[index];
}

std::size_t Tokenizer::vocabulary_size() const noexcept {
    return tables_->bytes.size();
}
std::optional<TokenId> Tokenizer::bos_token() const noexcept {
    return tables_->bos;
}
std::optional<TokenId> Tokenizer::eos_token() const noexcept {
    return tables_->eos;
}
const std::string& Tokenizer::json() const noexcept {
    return tables_->json;
}
const std::string& Tokenizer::sha256() const noexcept {
    return tables_->sha256;
}

}  // namespace popalign
