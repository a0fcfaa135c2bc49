#include <popalign/base/error.hpp>
#include <popalign/lm/text/stop_strings.hpp>

#include <algorithm>

namespace popalign::lm {

StopStrings::StopStrings(Tokenizer tokenizer, std::vector<std::string> texts)
    : tokenizer_(std::move(tokenizer)), texts_(std::move(texts)) {
    for (const std::string& text : texts_) {
        if (text.empty())
            throw UsageError("an empty stop string would end every answer at once; remove it");
        longest_ = std::max(longest_, text.size());
    }
}

bool StopStrings::ended(std::span<const TokenId> answer) const {
    if (texts_.empty() || answer.empty())
        return false;
    // A token that is drawn has a byte at least, or none at all; three more may be of a character
    // whose beginning is cut off.
    std::size_t from = answer.size();
    std::string text;
    do {
        from -= std::min(from, longest_ + 3);
        text = tokenizer_.decode(answer.subspan(from));
    } while (from > 0 && text.size() < longest_ + 3);
    return cut(text).size() < text.size();
}

std::string StopStrings::cut(std::string text) const {
    std::size_t end = text.size();
    for (const std::string& stop : texts_)
        end = std::min(end, text.find(stop));
    text.resize(end);
    return text;
}

}  // namespace popalign::lm
