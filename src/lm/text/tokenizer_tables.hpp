#pragma once

#include "lm/text/added_tokens.hpp"
#include "lm/text/bpe_model.hpp"
#include "lm/text/pre_tokenizer.hpp"

#include <popalign/lm/text/tokenizer.hpp>

#include <string>
#include <unordered_map>
#include <vector>

namespace popalign::lm {

struct Tokenizer::Tables {
    std::string json, sha256;
    /// Bytes of a token by its id; empty where no token has the id.
    std::vector<std::string> bytes;
    std::vector<bool> special;
    std::vector<bool> single_bytes;  ///< tokens that stand for one byte; empty in byte-level files
    std::size_t strip = 0;           ///< spaces that decoding takes from the beginning
    std::unordered_map<std::string, TokenId> added;
    AddedTokenMatcher raw_matcher, normalized_matcher;
    AddedTokenMatcher template_matcher;  ///< of all added tokens, for what chat templates write
    Normalizer normalizer;
    PreTokenizer pre_tokenizer;
    BpeModel bpe;
    std::optional<TokenId> bos, eos;
};

}  // namespace popalign::lm
