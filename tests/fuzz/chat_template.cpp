#include "fuzz/fuzz_one.hpp"

#include <popalign/base/error.hpp>
#include <popalign/lm/chat_template.hpp>

#include <string>

namespace popalign::fuzz {

/// Recognises the template by rendering with it, and renders with what it was taken for.
void fuzz_one(std::span<const std::uint8_t> input) {
    try {
        const auto chat = ChatTemplate::recognise(std::string(input.begin(), input.end()), "input");
        const Message message{Role::user, "Hello"};
        chat.render_prompt(std::span(&message, 1));
    } catch (const Error&) {
    }
}

}  // namespace popalign::fuzz
