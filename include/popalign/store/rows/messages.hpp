#pragma once

#include <popalign/record/message.hpp>

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace popalign::store {

/// The roles' names, and what other programs call them ("human", "gpt"). Throws UsageError for
/// another name.
Role parse_role(std::string_view name);

/// A list of {role, content}, or of {from, value}. Throws UsageError, or what the library throws
/// for a member that is missing or of another type.
std::vector<Message> messages_from_json(const nlohmann::json& list);
/// A list of {role, content}.
nlohmann::json messages_to_json(std::span<const Message> messages);

/// HH-RLHF's "\n\nHuman: ...\n\nAssistant: ..." as turns. Throws UsageError.
std::vector<Message> messages_from_transcript(std::string_view text);
/// Nothing if one is the system's, or if the text would not read back as the same.
std::optional<std::string> messages_to_transcript(std::span<const Message> messages);

}  // namespace popalign::store
