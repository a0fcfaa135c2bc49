#pragma once

#include <popalign/lm/text/tokenizer.hpp>
#include <popalign/record/token.hpp>

#include <span>
#include <string>
#include <vector>

namespace popalign::lm {

/// Texts that end an answer where they begin, wherever the tokens' borders are.
class StopStrings {
  public:
    /// Throws UsageError for an empty text.
    StopStrings(Tokenizer tokenizer, std::vector<std::string> texts);

    /// Whether the answer holds one; to be asked after each token.
    bool ended(std::span<const TokenId> answer) const;
    /// The answer up to the first of them.
    std::string cut(std::string text) const;
    bool empty() const noexcept { return texts_.empty(); }

  private:
    Tokenizer tokenizer_;
    std::vector<std::string> texts_;
    std::size_t longest_ = 0;  ///< bytes
};

}  // namespace popalign::lm
