#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace popalign::lm {

/// Part of a text, in bytes.
struct TextRange {
    std::size_t begin, end;
};

/// A compiled regular expression, restricted to what means the same in PCRE2 and in Oniguruma, with
/// which `tokenizers` matches. Safe to share.
class SplitRegex {
  public:
    /// Throws UsageError saying which construct is not supported.
    explicit SplitRegex(const std::string& pattern);

    /// All matches in `subject` (valid UTF-8 from `with_stand_ins`), in order.
    std::vector<TextRange> matches(std::string_view subject) const;

  private:
    struct Code;
    std::shared_ptr<const Code> code_;
};

}  // namespace popalign::lm
