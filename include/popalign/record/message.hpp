#pragma once

#include <string>
#include <string_view>

namespace popalign {

enum class Role { system, user, assistant };

/// Returns "system", "user" or "assistant".
std::string_view role_name(Role role) noexcept;

/// One turn of a dialogue.
struct Message {
    Role role = Role::user;
    std::string content;

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& role& content;
    }
    bool operator==(const Message&) const = default;
};

}  // namespace popalign
