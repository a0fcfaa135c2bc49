#pragma once

#include <popalign/lm/text/tokenizer.hpp>
#include <popalign/record/token.hpp>

#include <span>
#include <string>
#include <vector>

namespace popalign::lm {

/// Texts that end an answer where they begin, independent of token boundaries.
class StopStrings {
  public:
    /// Throws UsageError for an empty text.
    StopStrings(Tokenizer tokenizer, std::vector<std::string> texts);

    /// Returns whether the answer contains a stop text; call it after each token.
    bool ended(std::span<const TokenId> answer) const;
    /// Returns the answer up to the first stop text.
    std::string cut(std::string text) const;
    bool empty() const noexcept { return texts_.empty(); }

  private:
    Tokenizer tokenizer_;
    std::vector<std::string> texts_;
    std::size_t longest_ = 0;  ///< bytes
};

}  // namespace popalign::lm
