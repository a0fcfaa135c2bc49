#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <variant>
#include <vector>

namespace popalign::lm {

/// Normalizer of a tokenizer.json, applied before text is split: NFC, Prepend and Replace (of a
/// string), in a Sequence.
class Normalizer {
  public:
    Normalizer() = default;
    /// Throws UsageError naming what is not supported.
    explicit Normalizer(const nlohmann::json& description) { add(description, 0); }

    std::string apply(std::string text) const;
    /// Whether no normalised text has `pattern` in it.
    bool removes(const std::string& pattern) const;

  private:
    struct Compose {};
    struct Prepend {
        std::string text;
    };
    struct Replace {
        std::string pattern, content;
    };
    void add(const nlohmann::json& description, int depth);

    std::vector<std::variant<Compose, Prepend, Replace>> steps_;
};

/// `text` with every `pattern` (not empty) replaced.
std::string replace_all(const std::string& text, const std::string& pattern,
                        const std::string& content);

}  // namespace popalign::lm
