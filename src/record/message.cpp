#include <popalign/record/message.hpp>

namespace popalign {

std::string_view role_name(Role role) noexcept {
    switch (role) {
        case Role::system:
            return "system";
        case Role::user:
            return "user";
        case Role::assistant:
            break;
    }
    return "assistant";
}

}  // namespace popalign
