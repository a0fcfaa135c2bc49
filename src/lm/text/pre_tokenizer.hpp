#pragma once

#include "lm/text/bpe_model.hpp"
#include "lm/text/normalizer.hpp"
#include "lm/text/split_regex.hpp"

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace popalign::lm {

/// Cuts text into the words that byte-pair encoding sees one by one.
class PreTokenizer {
  public:
    /// From the `pre_tokenizer` of a tokenizer.json. Throws UsageError naming what is not
    /// supported. With `units` of bytes it must end with ByteLevel.
    PreTokenizer(const nlohmann::json& description, BpeModel::Units units,
                 const Normalizer& normalizer);

    /// Metaspace: text with its spaces replaced, and one put before it.
    std::string mark_spaces(const std::string& text, TextPosition position) const;
    bool marks_spaces() const noexcept { return metaspace_.has_value(); }
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
    struct Metaspace {
        std::string replacement, prepend_scheme;
    };
    void add_step(const nlohmann::json& description, const Normalizer& normalizer, int depth);
    void add_split(const nlohmann::json& description, const Normalizer& normalizer);
    void add_metaspace(const nlohmann::json& description);

    std::vector<std::variant<Digits, Split>> steps_;
    std::optional<Metaspace> metaspace_;
    bool byte_level_ = false;
};

}  // namespace popalign::lm
