#pragma once

#include <popalign/lm/text/tokenizer.hpp>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace popalign::lm {

/// A token beside the BPE vocabulary, with the flags of tokenizer.json.
struct AddedToken {
    TokenId id = 0;
    std::string content;
    bool special = false, normalized = false, lstrip = false, rstrip = false;
};

/// Finds added tokens in text as `tokenizers` does: leftmost-longest over all of them, where those
/// of the other kind are passed over as text.
class AddedTokenMatcher {
  public:
    enum class Kind { ordinary, special };
    void add(const AddedToken& token, const std::string& pattern);

    using Section = Tokenizer::Section;
    /// Sections of `text`, in order.
    std::vector<Section> split(std::string_view text, Kind kind = Kind::ordinary) const;

  private:
    const std::pair<const std::string, AddedToken>* longest_at(std::string_view text) const;

    std::map<std::string, AddedToken, std::less<>> tokens_;
    /// Distinct lengths of the patterns that begin with a byte, the longest first.
    std::map<char, std::vector<std::size_t>> lengths_;
};

}  // namespace popalign::lm
