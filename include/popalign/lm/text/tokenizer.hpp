#pragma once

#include <popalign/record/token.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace popalign::store {
class GgufFile;
}

namespace popalign::lm {

/// Position of text in the input. Some tokenizers add a space at its beginning, and only there.
enum class TextPosition { beginning, continuation };

/// Byte-level BPE and BPE with byte fallback, exact against HF `tokenizers` with
/// `encode_special_tokens = True`: text that looks like a special token is text. Immutable and safe
/// to share between threads.
class Tokenizer {
  public:
    /// Throws InputError for a malformed file and, by name, for a model, normalizer or
    /// pre-tokenizer that is not supported.
    static Tokenizer from_json(const std::filesystem::path& tokenizer_json);
    static Tokenizer from_json_text(const std::string& json, const std::string& file);
    /// From a tokenizer.model: SentencePiece BPE (Llama-2, Yi) or Llama-3's lines of base64 and
    /// rank, with the tokens that a tokenizer_config.json beside it adds.
    static Tokenizer from_model_file(const std::filesystem::path& tokenizer_model);
    static Tokenizer from_gguf(const store::GgufFile& file);

    /// Returns the ids of plain text, without added special tokens. Any bytes are accepted: invalid
    /// UTF-8 is replaced by U+FFFD first, as Python's decoding with errors="replace" does.
    std::vector<TokenId> encode(std::string_view text,
                                TextPosition position = TextPosition::beginning) const;
    /// Part of a text: a token, or text between two of them.
    struct Section {
        std::string_view text;
        std::optional<TokenId> token;
    };
    /// Splits `text` into the special tokens that it names and the texts between them, in order.
    std::vector<Section> split_special(std::string_view text) const;

    /// Returns the text of the tokens without special tokens. Incomplete UTF-8 sequences become
    /// U+FFFD.
    std::string decode(std::span<const TokenId> tokens) const;
    /// As `decode`, with special tokens as their text.
    std::string decode_with_special(std::span<const TokenId> tokens) const;

    /// Returns the id of a special (or otherwise added) token, by its text.
    std::optional<TokenId> special_token(std::string_view text) const;
    bool is_special(TokenId token) const;
    std::size_t vocabulary_size() const noexcept;  ///< largest id + 1

    std::optional<TokenId> bos_token() const noexcept;
    std::optional<TokenId> eos_token() const noexcept;

    /// Text of a tokenizer.json that `tokenizers` loads with the same behaviour. Unchanged if the
    /// tokenizer was read from such a file.
    const std::string& json() const noexcept;
    /// SHA-256 of `json()`.
    const std::string& sha256() const noexcept;

    struct Tables;

  private:
    explicit Tokenizer(std::shared_ptr<const Tables> tables) : tables_(std::move(tables)) {}
    std::shared_ptr<const Tables> tables_;
};

}  // namespace popalign::lm
