#pragma once

#include <popalign/lm/tokenizer.hpp>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace popalign {

/// A token beside the BPE vocabulary, with the flags of tokenizer.json.
struct AddedToken {
    TokenId id = 0;
    std::string content;
    bool special = false, normalized = false, lstrip = false, rstrip = false;
};

/// Finds added tokens in text as `tokenizers` does with encode_special_tokens: leftmost-longest
/// over all of them, where a special one is passed over as text.
class AddedTokenMatcher {
  public:
    void add(const AddedToken& token, const std::string& pattern);

    /// Part of a text: an added token, or text between two of them.
    struct Section {
        std::string_view text;
        std::optional<TokenId> token;
    };
    /// Sections of `text`, in order.
    std::vector<Section> split(std::string_view text) const;

  private:
    const std::pair<const std::string, AddedToken>* longest_at(std::string_view text) const;

    std::map<std::string, AddedToken, std::less<>> tokens_;
    /// Distinct lengths of the patterns that begin with a byte, the longest first.
    std::map<char, std::vector<std::size_t>> lengths_;
};

}  // namespace popalign
