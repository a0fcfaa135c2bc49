#include "lm/chat_template_formats.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/hash.hpp>
#include <popalign/lm/chat_template.hpp>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace popalign {
namespace {

const ChatFormat& find_format(std::string_view name) {
    const auto formats = chat_formats();
    const auto found = std::find_if(formats.begin(), formats.end(),
                                    [&](const ChatFormat& format) { return format.name == name; });
    if (found == formats.end())
        throw UsageError(fmt::format("there is no chat template '{}'; known are {}", name,
                                     fmt::join(ChatTemplate::names(), ", ")));
    return *found;
}

}  // namespace

std::vector<std::string> ChatTemplate::names() {
    std::vector<std::string> names;
    for (const ChatFormat& format : chat_formats())
        names.emplace_back(format.name);
    return names;
}

ChatTemplate ChatTemplate::named(std::string_view name) {
    const ChatFormat& format = find_format(name);
    ChatTemplate chat;
    chat.name_ = format.name;
    chat.jinja_ = format.jinja;
    chat.end_of_turn_ = format.end_of_turn;
    return chat;
}

std::string ChatTemplate::sha256() const {
    return sha256_hex(jinja_);
}

std::vector<RenderedPiece> ChatTemplate::render_prompt(std::span<const Message> messages,
                                                       std::string_view assistant_prefix) const {
    return render_dialogue(find_format(name_), default_system_, messages, Ending::generation_prompt,
                           assistant_prefix);
}

std::vector<RenderedPiece> ChatTemplate::render(std::span<const Message> messages) const {
    return render_dialogue(find_format(name_), default_system_, messages, Ending::none);
}

std::string to_text(std::span<const RenderedPiece> pieces) {
    std::string text;
    for (const RenderedPiece& piece : pieces)
        text += piece.text;
    return text;
}

std::vector<TokenId> encode_pieces(const Tokenizer& tokenizer,
                                   std::span<const RenderedPiece> pieces) {
    std::vector<TokenId> ids;
    std::string text;
    const auto encode_text = [&] {
        const auto encoded = tokenizer.encode(
            text, ids.empty() ? TextPosition::beginning : TextPosition::continuation);
        ids.insert(ids.end(), encoded.begin(), encoded.end());
        text.clear();
    };
    for (const RenderedPiece& piece : pieces) {
        if (!piece.special) {
            text += piece.text;
            continue;
        }
        encode_text();
        const auto token = tokenizer.special_token(piece.text);
        if (!token)
            throw UsageError(fmt::format(
                "the chat template needs the token '{}', which the tokenizer lacks; choose the "
                "model's own template",
                piece.text));
        ids.push_back(*token);
    }
    encode_text();
    return ids;
}

}  // namespace popalign
