#include <popalign/base/error.hpp>
#include <popalign/store/messages.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace popalign {

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

}  // namespace popalign
