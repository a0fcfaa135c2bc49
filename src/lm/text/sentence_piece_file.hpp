#pragma once

#include "lm/text/sentence_pieces.hpp"
#include "lm/text/tokenizer_members.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace popalign::lm {

/// Contents of a SentencePiece model file (tokenizer.model).
struct SentencePieceFile {
    SentencePieces pieces;
    std::vector<std::int64_t> types;      ///< TokenType of each piece; bytes have another
    std::int64_t bos_id = 1, eos_id = 2;  ///< negative: none
};

/// Reads the protocol buffer of sentencepiece_model.proto; libsentencepiece itself does not tell
/// the types of pieces or how text is normalised. Throws UsageError for a malformed file and, by
/// name, for a model other than BPE over text as it is.
SentencePieceFile read_sentence_piece_file(std::span<const std::byte> bytes);

}  // namespace popalign::lm
