#include "lm/text/sentence_piece_file.hpp"

#include <popalign/base/error.hpp>

#include <fmt/core.h>

#include <bit>
#include <cmath>
#include <functional>
#include <string_view>

namespace popalign::lm {
namespace {

constexpr std::size_t longest_piece = 1024;

/// One field of a message: a number, or bytes that are text or a message.
struct Field {
    std::uint64_t number = 0, value = 0;
    std::string_view bytes;

    std::int64_t integer() const { return static_cast<std::int64_t>(value); }
    float real() const { return std::bit_cast<float>(static_cast<std::uint32_t>(value)); }
};

/// Reads a message of the protocol buffers' wire format.
class FieldReader {
  public:
    explicit FieldReader(std::string_view bytes) : left_(bytes) {}

    bool done() const { return left_.empty(); }
    Field next() {
        const std::uint64_t key = varint();
        Field field{key >> 3, 0, {}};
        switch (key & 7) {
            case 0:
                field.value = varint();
                break;
            case 1:
                field.value = fixed(8);
                break;
            case 2:
                field.bytes = take(varint());
                break;
            case 5:
                field.value = fixed(4);
                break;
            default:
                throw UsageError("this is no SentencePiece model");
        }
        return field;
    }

  private:
    std::string_view take(std::uint64_t count) {
        if (count > left_.size())
            throw UsageError("the SentencePiece model is cut short");
        const auto taken = left_.substr(0, count);
        left_.remove_prefix(count);
        return taken;
    }
    std::uint64_t varint() {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const auto byte = static_cast<unsigned char>(take(1).front());
            value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
            if (byte < 0x80)
                return value;
        }
        throw UsageError("this is no SentencePiece model");
    }
    std::uint64_t fixed(unsigned count) {
        std::uint64_t value = 0;
        const auto bytes = take(count);
        for (unsigned i = 0; i < count; ++i)
            value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
        return value;
    }

    std::string_view left_;
};

void for_each_field(std::string_view message, const std::function<void(const Field&)>& use) {
    for (FieldReader reader(message); !reader.done();)
        use(reader.next());
}

void read_piece(std::string_view message, SentencePieceFile& file) {
    std::string text;
    float score = 0;
    std::int64_t type = normal;
    for_each_field(message, [&](const Field& field) {
        if (field.number == 1)
            text = field.bytes;
        else if (field.number == 2)
            score = field.real();
        else if (field.number == 3)
            type = field.integer();
    });
    if (text.empty() || text.size() > longest_piece || !std::isfinite(score))
        throw UsageError(
            fmt::format("piece {} of the SentencePiece model is empty, too long or has "
                        "no score",
                        file.types.size()));
    file.pieces.pieces.push_back(std::move(text));
    file.pieces.scores.push_back(score);
    file.types.push_back(type);
}

void require(bool holds, const char* what) {
    if (!holds)
        throw UsageError(
            fmt::format("a SentencePiece model {} is not supported; known is BPE "
                        "without normalisation (Llama-2, Yi, Mistral)",
                        what));
}

void read_trainer(std::string_view message, SentencePieceFile& file, std::int64_t& model_type) {
    for_each_field(message, [&](const Field& field) {
        switch (field.number) {
            case 3:
                model_type = field.integer();
                break;
            case 24:
                require(field.value == 0, "with white space behind words");
                break;
            case 41:
                file.bos_id = static_cast<std::int32_t>(field.value);
                break;
            case 42:
                file.eos_id = static_cast<std::int32_t>(field.value);
                break;
            default:
                break;
        }
    });
}

void read_normalizer(std::string_view message, SentencePieceFile& file) {
    std::uint64_t removes = 1, escapes = 1;  // the defaults
    for_each_field(message, [&](const Field& field) {
        switch (field.number) {
            case 2:
                require(field.bytes.empty(), "with normalisation of characters");
                break;
            case 3:
                file.pieces.add_prefix_space = field.value != 0;
                break;
            case 4:
                removes = field.value;
                break;
            case 5:
                escapes = field.value;
                break;
            default:
                break;
        }
    });
    require(removes == 0, "that removes extra white space");
    require(escapes != 0, "that leaves white space as it is");
}

}  // namespace

SentencePieceFile read_sentence_piece_file(std::span<const std::byte> bytes) {
    constexpr std::int64_t bpe = 2;
    SentencePieceFile file;
    std::int64_t model_type = 1;  // unigram
    for_each_field({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                   [&](const Field& field) {
                       if (field.number == 1)
                           read_piece(field.bytes, file);
                       else if (field.number == 2)
                           read_trainer(field.bytes, file, model_type);
                       else if (field.number == 3)
                           read_normalizer(field.bytes, file);
                   });
    if (file.types.empty())
        throw UsageError("the SentencePiece model has no pieces");
    require(model_type == bpe, "other than BPE");
    return file;
}

}  // namespace popalign::lm
