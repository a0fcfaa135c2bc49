#include <popalign/base/error.hpp>
#include <popalign/store/rows/messages.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace popalign::store {
namespace {

constexpr std::string_view human = "\n\nHuman:", assistant = "\n\nAssistant:";

}  // namespace

Role parse_role(std::string_view name) {
    if (name == "system")
        return Role::system;
    if (name == "user" || name == "human")
        return Role::user;
    if (name == "assistant" || name == "gpt")
        return Role::assistant;
    throw UsageError(fmt::format("role '{}' is not system, user or assistant", name));
}

std::vector<Message> messages_from_json(const nlohmann::json& list) {
    if (!list.is_array())
        throw UsageError("a dialogue is no list of messages");
    std::vector<Message> messages;
    for (const auto& entry : list) {
        const bool from = entry.contains("from");
        messages.push_back({parse_role(entry.at(from ? "from" : "role").get<std::string>()),
                            entry.at(from ? "value" : "content").get<std::string>()});
    }
    return messages;
}

nlohmann::json messages_to_json(std::span<const Message> messages) {
    auto list = nlohmann::json::array();
    for (const Message& message : messages)
        list.push_back({{"role", role_name(message.role)}, {"content", message.content}});
    return list;
}

std::vector<Message> messages_from_transcript(std::string_view text) {
    std::vector<Message> messages;
    const auto next = [&](std::size_t from) {
        return std::min(text.find(human, from), text.find(assistant, from));
    };
    if (next(0) != 0)
        throw UsageError("a dialogue does not begin with \"\\n\\nHuman:\"");
    for (std::size_t begin = 0; begin < text.size();) {
        const bool asks = text.substr(begin).starts_with(human);
        const std::size_t label = (asks ? human : assistant).size();
        const std::size_t end = std::min(next(begin + label), text.size());
        std::string_view content = text.substr(begin + label, end - begin - label);
        if (content.starts_with(' '))
            content.remove_prefix(1);
        messages.push_back({asks ? Role::user : Role::assistant, std::string(content)});
        begin = end;
    }
    return messages;
}

std::optional<std::string> messages_to_transcript(std::span<const Message> messages) {
    std::string text;
    for (const Message& message : messages) {
        if (message.role == Role::system)
            return std::nullopt;
        text +=
            fmt::format("{} {}", message.role == Role::user ? human : assistant, message.content);
    }
    if (text.empty() || !std::ranges::equal(messages_from_transcript(text), messages))
        return std::nullopt;  // e.g. a message that holds a label
    return text;
}

}  // namespace popalign::store
