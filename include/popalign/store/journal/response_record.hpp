#pragma once

#include <popalign/record/response.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace popalign::store {

/// Header of a journalled response: instruction and generation, sizes, attempts and token counts.
struct ResponseKey {
    std::uint64_t instruction = 0;
    std::uint32_t generation = 0, text_bytes = 0, thought_bytes = 0, tokens = 0, attempts = 0;
    std::uint64_t prompt_tokens = 0, answer_tokens = 0;
};

/// Encodes a response as a journal record: version, key and numbers in 64 little-endian bytes, then
/// text, thought and tokens.
std::vector<std::byte> encode_response(const Response& response);
/// Both read a record of `encode_response` and throw Error for any other bytes.
ResponseKey read_response_key(std::span<const std::byte> record);
Response decode_response(std::span<const std::byte> record);

}  // namespace popalign::store
