#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace popalign::lm {

/// Type of a token, with llama.cpp's numbers (`tokenizer.ggml.token_type`).
enum TokenType : std::int64_t {
    normal = 1,
    unknown = 2,
    control = 3,
    user_defined = 4,
    unused = 5
};

/// The vocabulary of a file that is no tokenizer.json: a text and a TokenType for each id.
struct TokenList {
    std::vector<std::string> texts;
    std::vector<std::int64_t> types;
};

/// From texts to ids, without unused tokens. Throws UsageError for a text that is there twice or
/// not UTF-8.
nlohmann::json vocabulary_of(const TokenList& tokens);

/// `normalizer`, `pre_tokenizer`, `decoder` and `model` of byte-level BPE. `family` is a name of
/// llama.cpp's (`tokenizer.ggml.pre`); throws UsageError for one not known.
nlohmann::json byte_level_members(const std::string& family, nlohmann::json vocabulary,
                                  nlohmann::json merges);

/// A tokenizer.json of `members` (normalizer, pre_tokenizer, decoder, model), whose added tokens
/// are those of `tokens` that stand for no text, or for themselves.
nlohmann::json complete_tokenizer(nlohmann::json members, const TokenList& tokens);

}  // namespace popalign::lm
