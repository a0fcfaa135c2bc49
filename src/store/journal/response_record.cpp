#include <popalign/base/error.hpp>
#include <popalign/store/journal/response_record.hpp>

#include <cstring>
#include <limits>
#include <string>
#include <type_traits>

namespace popalign::store {
namespace {

struct Head {
    std::uint16_t version = 1;
    std::uint8_t finish_reason = 0, parsed = 0;
    std::uint32_t attempts = 0;
    std::uint64_t instruction = 0, seed = 0;
    double logprob = 0;
    std::uint64_t prompt_tokens = 0, answer_tokens = 0;
    std::uint32_t generation = 0, text_bytes = 0, thought_bytes = 0, tokens = 0;
};
static_assert(sizeof(Head) == 64 && std::is_trivially_copyable_v<Head>);

[[noreturn]] void refuse(const char* why) {
    throw Error(std::string("a journalled answer cannot be read (") + why +
                "); another version wrote it: use that one, or remove the journals");
}

std::uint32_t size_of(std::size_t size) {
    if (size > std::numeric_limits<std::uint32_t>::max())
        throw Error("an answer of more than 4 GiB");
    return static_cast<std::uint32_t>(size);
}

Head read_head(std::span<const std::byte> record) {
    Head head;
    if (record.size() < sizeof head)
        refuse("too short");
    std::memcpy(&head, record.data(), sizeof head);
    if (head.version != 1 || head.finish_reason > 1)
        refuse("unknown version");
    const std::uint64_t size = sizeof head + std::uint64_t{head.text_bytes} + head.thought_bytes +
                               std::uint64_t{head.tokens} * sizeof(std::int32_t);
    if (record.size() != size)
        refuse("wrong length");
    return head;
}

}  // namespace

std::vector<std::byte> encode_response(const Response& response) {
    Head head;
    head.finish_reason = static_cast<std::uint8_t>(response.finish_reason);
    head.parsed = response.parsed ? 1 : 0;
    head.instruction = response.instruction;
    head.seed = response.seed;
    head.logprob = response.logprob;
    head.attempts = response.attempts;
    head.prompt_tokens = response.prompt_tokens;
    head.answer_tokens = response.answer_tokens;
    head.generation = response.generation;
    head.text_bytes = size_of(response.text.size());
    head.thought_bytes = size_of(response.thought.size());
    head.tokens = size_of(response.tokens.size());
    std::vector<std::byte> record;
    const auto add = [&](std::span<const std::byte> bytes) {
        record.insert(record.end(), bytes.begin(), bytes.end());
    };
    record.reserve(sizeof head + response.text.size() + response.thought.size() +
                   response.tokens.size() * sizeof(std::int32_t));
    add(std::as_bytes(std::span(&head, 1)));
    add(std::as_bytes(std::span(response.text)));
    add(std::as_bytes(std::span(response.thought)));
    add(std::as_bytes(std::span(response.tokens)));
    return record;
}

ResponseKey read_response_key(std::span<const std::byte> record) {
    const Head head = read_head(record);
    return {head.instruction, head.generation, head.text_bytes,    head.thought_bytes,
            head.tokens,      head.attempts,   head.prompt_tokens, head.answer_tokens};
}

Response decode_response(std::span<const std::byte> record) {
    const Head head = read_head(record);
    const auto* text = reinterpret_cast<const char*>(record.data()) + sizeof head;
    Response response;
    response.instruction = head.instruction;
    response.generation = head.generation;
    response.text.assign(text, head.text_bytes);
    response.thought.assign(text += head.text_bytes, head.thought_bytes);
    response.tokens.resize(head.tokens);
    if (head.tokens > 0)
        std::memcpy(response.tokens.data(), text + head.thought_bytes,
                    head.tokens * sizeof(std::int32_t));
    response.logprob = head.logprob;
    response.finish_reason = static_cast<FinishReason>(head.finish_reason);
    response.parsed = head.parsed != 0;
    response.seed = head.seed;
    response.attempts = head.attempts;
    response.prompt_tokens = head.prompt_tokens;
    response.answer_tokens = head.answer_tokens;
    return response;
}

}  // namespace popalign::store
