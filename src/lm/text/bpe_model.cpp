#include "lm/text/bpe_model.hpp"

#include "lm/text/unicode.hpp"

#include <algorithm>
#include <functional>

namespace popalign::lm {
namespace {

constexpr bool is_printable(unsigned byte) {
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

/// GPT-2's alphabet: printable Latin-1 stands for itself, the other bytes for U+0100 and on.
constexpr std::array<int, 0x144> byte_of_character() {
    std::array<int, 0x144> bytes{};
    bytes.fill(-1);
    std::size_t next = 0x100;
    for (unsigned byte = 0; byte < 256; ++byte)
        bytes[is_printable(byte) ? byte : next++] = static_cast<int>(byte);
    return bytes;
}

std::uint64_t pair_key(TokenId left, TokenId right) {
    return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) |
           static_cast<std::uint32_t>(right);
}

}  // namespace

std::optional<std::string> printable_to_bytes(std::string_view token) {
    static constexpr auto bytes = byte_of_character();
    std::string result;
    for (std::size_t offset = 0; offset < token.size();) {
        const char32_t character = next_code_point(token, offset);
        if (character >= bytes.size() || bytes[character] < 0)
            return std::nullopt;
        result += static_cast<char>(bytes[character]);
    }
    return result;
}

std::string bytes_to_printable(std::string_view bytes) {
    static const auto characters = [] {
        std::array<std::string, 256> printable;
        const auto bytes_of = byte_of_character();
        for (std::size_t character = 0; character < bytes_of.size(); ++character)
            if (bytes_of[character] >= 0)
                append_code_point(printable[static_cast<std::size_t>(bytes_of[character])],
                                  static_cast<char32_t>(character));
        return printable;
    }();
    std::string text;
    for (char byte : bytes)
        text += characters[static_cast<unsigned char>(byte)];
    return text;
}

void BpeModel::add_token(const std::string& bytes, TokenId id) {
    if (options_.units == Units::characters) {
        std::size_t end = 0;
        if (!bytes.empty())
            next_code_point(bytes, end);
        if (end > 0 && end == bytes.size())
            characters_[bytes] = id;
    } else if (bytes.size() == 1) {
        add_byte_token(static_cast<unsigned char>(bytes.front()), id);
    }
    if (options_.whole_words_first)
        whole_words_[bytes] = id;
}

void BpeModel::add_merge(TokenId left, TokenId right, TokenId result) {
    merges_[pair_key(left, right)] = {merge_count_++, result};
}

const BpeModel::Merge* BpeModel::find_merge(TokenId left, TokenId right) const {
    const auto found = merges_.find(pair_key(left, right));
    return found == merges_.end() ? nullptr : &found->second;
}

void BpeModel::encode(std::string_view word, Scratch& scratch, std::vector<TokenId>& ids) const {
    if (options_.whole_words_first)
        if (const auto found = whole_words_.find(std::string(word)); found != whole_words_.end()) {
            ids.push_back(found->second);
            return;
        }
    split_into_units(word, scratch);
    merge_all(scratch);
    for (const auto& symbol : scratch.symbols)
        if (!symbol.removed)
            ids.push_back(symbol.token);
}

std::span<const TokenId> BpeModel::find_unit(std::string_view unit,
                                             std::array<TokenId, 4>& room) const {
    if (options_.units == Units::characters) {
        if (const auto found = characters_.find(std::string(unit)); found != characters_.end()) {
            room[0] = found->second;
            return {room.data(), 1};
        }
        if (!options_.byte_fallback)
            return {};
    }
    for (std::size_t i = 0; i < unit.size(); ++i) {
        room[i] = byte_tokens_[static_cast<unsigned char>(unit[i])];
        if (room[i] < 0)
            return {};
    }
    return {room.data(), unit.size()};
}

void BpeModel::split_into_units(std::string_view word, Scratch& scratch) const {
    auto& symbols = scratch.symbols;
    symbols.clear();
    const auto push = [&](TokenId token) {
        const auto index = std::ssize(symbols);
        symbols.push_back({token, false, index - 1, index + 1});
    };
    bool after_unknown = false;
    std::array<TokenId, 4> room{};
    for (std::size_t begin = 0, end = 0; begin < word.size(); begin = end) {
        if (options_.units == Units::characters)
            next_code_point(word, end);
        else
            ++end;
        const auto tokens = find_unit(word.substr(begin, end - begin), room);
        for (TokenId token : tokens)
            push(token);
        if (tokens.empty() && options_.unknown && !(after_unknown && options_.fuse_unknown))
            push(*options_.unknown);
        after_unknown = tokens.empty();
    }
    if (!symbols.empty())
        symbols.back().next = -1;
}

void BpeModel::push_candidate(Scratch& scratch, std::ptrdiff_t left) const {
    if (left < 0)
        return;
    const auto position = static_cast<std::size_t>(left);
    const auto& symbol = scratch.symbols[position];
    if (symbol.next < 0)
        return;
    const auto& right = scratch.symbols[static_cast<std::size_t>(symbol.next)];
    if (const Merge* merge = find_merge(symbol.token, right.token)) {
        scratch.heap.push_back({merge->rank, merge->result, position});
        std::push_heap(scratch.heap.begin(), scratch.heap.end(), std::greater<>());
    }
}

void BpeModel::merge_all(Scratch& scratch) const {
    auto& [symbols, heap] = scratch;
    heap.clear();
    for (std::ptrdiff_t i = 0; i + 1 < std::ssize(symbols); ++i)
        push_candidate(scratch, i);
    while (!heap.empty()) {
        std::pop_heap(heap.begin(), heap.end(), std::greater<>());
        const auto candidate = heap.back();
        heap.pop_back();
        auto& left = symbols[candidate.position];
        if (left.removed || left.next < 0)
            continue;
        auto& right = symbols[static_cast<std::size_t>(left.next)];
        // `tokenizers` tells a stale candidate by its result, not by its pair: another pair with
        // the same result is merged at the stale rank.
        const Merge* current = find_merge(left.token, right.token);
        if (current == nullptr || current->result != candidate.result)
            continue;
        left.token = candidate.result;
        left.next = right.next;
        right.removed = true;
        if (left.next >= 0)
            symbols[static_cast<std::size_t>(left.next)].previous =
                static_cast<std::ptrdiff_t>(candidate.position);
        push_candidate(scratch, left.previous);
        push_candidate(scratch, static_cast<std::ptrdiff_t>(candidate.position));
    }
}

}  // namespace popalign::lm
