#include "lm/text/added_tokens.hpp"

#include "lm/text/unicode.hpp"

#include <algorithm>
#include <functional>

namespace popalign::lm {
namespace {

std::size_t skip_white_space(std::string_view text, std::size_t offset) {
    while (offset < text.size()) {
        std::size_t next = offset;
        if (!is_white_space(next_code_point(text, next)))
            break;
        offset = next;
    }
    return offset;
}

std::size_t skip_white_space_back(std::string_view text, std::size_t offset, std::size_t limit) {
    while (offset > limit) {
        std::size_t previous = offset - 1;
        while (previous > limit && (static_cast<unsigned char>(text[previous]) & 0xC0) == 0x80)
            --previous;
        std::size_t next = previous;
        if (!is_white_space(next_code_point(text, next)))
            break;
        offset = previous;
    }
    return offset;
}

}  // namespace

void AddedTokenMatcher::add(const AddedToken& token, const std::string& pattern) {
    if (pattern.empty() || !tokens_.emplace(pattern, token).second)
        return;
    auto& lengths = lengths_[pattern.front()];
    const auto place =
        std::lower_bound(lengths.begin(), lengths.end(), pattern.size(), std::greater<>());
    if (place == lengths.end() || *place != pattern.size())
        lengths.insert(place, pattern.size());
}

const std::pair<const std::string, AddedToken>* AddedTokenMatcher::longest_at(
    std::string_view text) const {
    const auto lengths = lengths_.find(text.front());
    if (lengths == lengths_.end())
        return nullptr;
    for (std::size_t length : lengths->second)
        if (length <= text.size())
            if (const auto found = tokens_.find(text.substr(0, length)); found != tokens_.end())
                return &*found;
    return nullptr;
}

std::vector<AddedTokenMatcher::Section> AddedTokenMatcher::split(std::string_view text,
                                                                 Kind kind) const {
    std::vector<Section> sections;
    std::size_t done = 0;
    const auto add_text = [&](std::size_t end) {
        if (done < end)
            sections.push_back({text.substr(done, end - done), std::nullopt});
    };
    for (std::size_t offset = 0; offset < text.size() && !tokens_.empty();) {
        const auto* match = longest_at(text.substr(offset));
        if (match == nullptr) {
            ++offset;
            continue;
        }
        std::size_t begin = offset, end = offset + match->first.size();
        offset = end;
        const AddedToken& token = match->second;
        if (token.special != (kind == Kind::special))
            continue;
        // A match may lie in white space that the token before it has already taken.
        if (token.lstrip)
            begin = skip_white_space_back(text, begin, std::min(done, begin));
        if (token.rstrip)
            end = skip_white_space(text, end);
        add_text(begin);
        sections.push_back({text.substr(begin, end - begin), token.id});
        done = end;
    }
    add_text(text.size());
    return sections;
}

}  // namespace popalign::lm
