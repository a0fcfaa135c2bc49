#pragma once

#include <popalign/record/message.hpp>

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace popalign::store {

/// Returns the role of a name, also of names in other programs ("human", "gpt"). Throws UsageError
/// for an unknown name.
Role parse_role(std::string_view name);

/// Reads a list of {role, content} or of {from, value}. Throws UsageError, or an exception of the
/// JSON library for a missing or mistyped member.
std::vector<Message> messages_from_json(const nlohmann::json& list);
/// Returns a list of {role, content}.
nlohmann::json messages_to_json(std::span<const Message> messages);

/// Reads the turns of a transcript of HH-RLHF, "\n\nHuman: ...\n\nAssistant: ...". Throws
/// UsageError.
std::vector<Message> messages_from_transcript(std::string_view text);
/// Inverse of `messages_from_transcript`. Returns nothing if there is a system message, or if the
/// text would not read back as the same turns.
std::optional<std::string> messages_to_transcript(std::span<const Message> messages);

}  // namespace popalign::store
