#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace popalign {

/// Part of a text, in bytes.
struct TextRange {
    std::size_t begin, end;
};

/// A regular expression in the part of Oniguruma's syntax that means the same in PCRE2.
class SplitRegex {
  public:
    /// Throws UsageError saying which construct is not supported.
    explicit SplitRegex(const std::string& pattern);

    /// Calls `visit(range, is_match)` for the matches and for what lies between them, in order.
    template <class Visitor>
    void for_each(std::string_view subject, TextRange range, const Visitor& visit) const;

  private:
    struct Code;
    /// The next match at or after `offset` of `text`; false if there is none.
    bool find(std::string_view text, std::size_t offset, void* match_data, TextRange& match) const;

    std::shared_ptr<const Code> code_;
};

/// Cuts text into the words that byte-pair encoding sees one by one.
class PreTokenizer {
  public:
    /// From the `pre_tokenizer` of a tokenizer.json. Throws UsageError naming what is not supported.
    explicit PreTokenizer(const nlohmann::json& description);

    /// Words of valid UTF-8, in order.
    std::vector<std::string_view> split(std::string_view text) const;

  private:
    struct Digits {
        bool individual;
    };
    struct Split {
        SplitRegex regex;
        bool keep_matches, keep_others;
    };
    using Step = std::variant<Digits, Split>;

    void add_step(const nlohmann::json& description, int depth);
    void add_split(const nlohmann::json& description);
    static void apply(const Digits& step, std::string_view text, std::string_view subject,
                      TextRange range, std::vector<TextRange>& pieces);
    static void apply(const Split& step, std::string_view text, std::string_view subject,
                      TextRange range, std::vector<TextRange>& pieces);

    std::vector<Step> steps_;
    bool byte_level_ = false;
};

}  // namespace popalign
