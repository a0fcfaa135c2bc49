#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace popalign::lm {

/// The vocabulary of a SentencePiece BPE model, in the order of its ids.
struct SentencePieces {
    std::vector<std::string> pieces;
    std::vector<float> scores;  ///< pairs with a higher score are merged first
    bool add_prefix_space = true;
};

/// The members `normalizer`, `pre_tokenizer`, `decoder` and `model` of a tokenizer.json that does
/// the same: merges are all ways to make a piece of two others, as the converter of `transformers`
/// has them. `vocabulary` maps the pieces to their ids.
nlohmann::json sentence_piece_members(const SentencePieces& pieces, nlohmann::json vocabulary);

}  // namespace popalign::lm
