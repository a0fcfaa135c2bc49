#include "lm/text/tokenizer_tables.hpp"
#include "lm/text/unicode.hpp"

#include <popalign/lm/text/tokenizer.hpp>

#include <utility>

namespace popalign::lm {
namespace {

void encode_words(const Tokenizer::Tables& tables, std::string_view text,
                  BpeModel::Scratch& scratch, std::vector<TokenId>& ids) {
    for (std::string_view word : tables.pre_tokenizer.split(text))
        tables.bpe.encode(word, scratch, ids);
}

void encode_text(const Tokenizer::Tables& tables, std::string_view text, TextPosition position,
                 BpeModel::Scratch& scratch, std::vector<TokenId>& ids) {
    for (const auto& section : tables.normalized_matcher.split(text)) {
        if (section.token)
            ids.push_back(*section.token);
        else if (tables.pre_tokenizer.marks_spaces())
            encode_words(tables,
                         tables.pre_tokenizer.mark_spaces(std::string(section.text), position),
                         scratch, ids);
        else
            encode_words(tables, section.text, scratch, ids);
        position = TextPosition::continuation;
    }
}

enum class SpecialTokens { keep, leave_out };

/// Joins tokens of bytes to characters; bytes that make none come out as U+FFFD each, as
/// `tokenizers` has it.
class ByteRun {
  public:
    void add(const std::string& byte) { bytes_ += byte; }
    void flush(std::string& text) {
        if (repair_utf8(bytes_) == bytes_) {
            text += bytes_;
        } else {
            for (std::size_t i = 0; i < bytes_.size(); ++i)
                text += "\xEF\xBF\xBD";
        }
        bytes_.clear();
    }

  private:
    std::string bytes_;
};

std::string decode_tokens(const Tokenizer::Tables& tables, std::span<const TokenId> tokens,
                          SpecialTokens special) {
    std::string text;
    ByteRun run;
    for (TokenId token : tokens) {
        // Negative ids become large indices, which no token has.
        const auto index = static_cast<std::size_t>(token);
        if (index >= tables.bytes.size() ||
            (special == SpecialTokens::leave_out && tables.special[index]))
            continue;
        if (index < tables.single_bytes.size() && tables.single_bytes[index]) {
            run.add(tables.bytes[index]);
        } else {
            run.flush(text);
            text += tables.bytes[index];
        }
    }
    run.flush(text);
    std::size_t spaces = 0;
    while (spaces < tables.strip && spaces < text.size() && text[spaces] == ' ')
        ++spaces;
    return repair_utf8(std::string_view(text).substr(spaces));
}

}  // namespace

std::vector<TokenId> Tokenizer::encode(std::string_view text, TextPosition position) const {
    const std::string repaired = repair_utf8(text);
    BpeModel::Scratch scratch;
    std::vector<TokenId> ids;
    for (const auto& section : tables_->raw_matcher.split(repaired)) {
        if (section.token)
            ids.push_back(*section.token);
        else
            encode_text(*tables_, tables_->normalizer.apply(std::string(section.text)), position,
                        scratch, ids);
        position = TextPosition::continuation;
    }
    return ids;
}

std::vector<Tokenizer::Section> Tokenizer::split_special(std::string_view text) const {
    return tables_->template_matcher.split(text, AddedTokenMatcher::Kind::special);
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

}  // namespace popalign::lm
