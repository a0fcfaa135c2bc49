#pragma once

#include "lm/split_regex.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string_view>
#include <variant>
#include <vector>

namespace popalign {

/// Cuts text into the words that byte-pair encoding sees one by one.
class PreTokenizer {
  public:
    /// From the `pre_tokenizer` of a tokenizer.json. Throws UsageError naming what is not
    /// supported.
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
    /// `subject` is the piece as PCRE2 shall see it, `text` as it is; ranges count from `begin`.
    static void apply(const Digits& step, std::string_view text, std::string_view subject,
                      std::size_t begin, std::vector<TextRange>& pieces);
    static void apply(const Split& step, std::string_view text, std::string_view subject,
                      std::size_t begin, std::vector<TextRange>& pieces);
    void add_step(const nlohmann::json& description, int depth);
    void add_split(const nlohmann::json& description);

    std::vector<std::variant<Digits, Split>> steps_;
    bool byte_level_ = false;
};

}  // namespace popalign
