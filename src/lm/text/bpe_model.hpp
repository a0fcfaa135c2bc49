#pragma once

#include <popalign/lm/text/tokenizer.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace popalign::lm {

/// Byte-pair encoding that begins with bytes, or with characters. Tokens are given by their bytes,
/// not in the printable alphabet that byte-level files use for them (`printable_to_bytes`).
class BpeModel {
  public:
    enum class Units { bytes, characters };
    struct Options {
        Units units = Units::bytes;
        bool byte_fallback = false;  ///< a character that is no token becomes its bytes' tokens
        std::optional<TokenId>
            unknown;                ///< for units that are no token; without one they are dropped
        bool fuse_unknown = false;  ///< neighbouring unknown bytes become one token
        bool whole_words_first = false;  ///< a word that is a token is not merged ("ignore_merges")
    };

    explicit BpeModel(const Options& options) : options_(options) { byte_tokens_.fill(-1); }

    void add_token(const std::string& bytes, TokenId id);
    /// The token of one byte, for `byte_fallback`.
    void add_byte_token(unsigned char byte, TokenId id) { byte_tokens_[byte] = id; }
    /// Merges rank in the order in which they are added; a repeated pair takes the last rank.
    void add_merge(TokenId left, TokenId right, TokenId result);

    /// Room for intermediate results that successive words share.
    struct Scratch {
        struct Symbol {
            TokenId token;
            bool removed;
            std::ptrdiff_t previous, next;
        };
        struct Candidate {
            std::uint32_t rank;
            TokenId result;
            std::size_t position;
            bool operator>(const Candidate& other) const noexcept {
                return rank != other.rank ? rank > other.rank : position > other.position;
            }
        };
        std::vector<Symbol> symbols;
        std::vector<Candidate> heap;
    };

    /// Appends the ids of `word`. O(n log n).
    void encode(std::string_view word, Scratch& scratch, std::vector<TokenId>& ids) const;

  private:
    struct Merge {
        std::uint32_t rank;
        TokenId result;
    };

    const Merge* find_merge(TokenId left, TokenId right) const;
    void split_into_units(std::string_view word, Scratch& scratch) const;
    /// Tokens of one unit: one, those of its bytes, or none.
    std::span<const TokenId> find_unit(std::string_view unit, std::array<TokenId, 4>& room) const;
    void merge_all(Scratch& scratch) const;
    void push_candidate(Scratch& scratch, std::ptrdiff_t left) const;

    Options options_;
    std::array<TokenId, 256> byte_tokens_;
    std::unordered_map<std::uint64_t, Merge> merges_;
    std::unordered_map<std::string, TokenId> characters_;
    std::unordered_map<std::string, TokenId> whole_words_;
    std::uint32_t merge_count_ = 0;
};

/// Bytes of a token written in GPT-2's printable alphabet; nothing if a character is not in it.
std::optional<std::string> printable_to_bytes(std::string_view token);
/// The other way round.
std::string bytes_to_printable(std::string_view bytes);

}  // namespace popalign::lm
