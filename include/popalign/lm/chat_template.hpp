#pragma once

#include <popalign/lm/tokenizer.hpp>
#include <popalign/record/message.hpp>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace popalign {

/// A piece of a rendered dialogue: text, or a special token of the template.
struct RenderedPiece {
    std::string text;
    bool special = false;
};

/// How a model family writes a dialogue. A closed set of formats: `chatml` (with the default system
/// text that the model's own template holds, if any), `llama2`, `llama3`, `mistral`, `vicuna`,
/// `zephyr`, `yi`. What users write is always text: it cannot forge a special token.
class ChatTemplate {
  public:
    /// By the text of the model's own Jinja template. Throws InputError naming `origin` if no known
    /// format renders like it, with the names that can be configured instead.
    static ChatTemplate recognise(const std::string& jinja, const std::string& origin);
    /// Throws UsageError for an unknown name, listing the known ones.
    static ChatTemplate named(std::string_view name);
    static std::vector<std::string> names();

    const std::string& name() const noexcept { return name_; }
    /// Jinja source for exported models: as read, or one that renders the same.
    const std::string& jinja() const noexcept { return jinja_; }
    std::string sha256() const;

    /// The text that ends the assistant's turn, e.g. "<|im_end|>".
    const std::string& end_of_turn() const noexcept { return end_of_turn_; }

    /// The dialogue, then the opening of the assistant's turn followed by `assistant_prefix`: equal
    /// to `apply_chat_template(messages, add_generation_prompt=True) + assistant_prefix`. Throws
    /// UsageError where the format forbids the order of roles.
    std::vector<RenderedPiece> render_prompt(std::span<const Message> messages,
                                             std::string_view assistant_prefix = "") const;
    /// The whole dialogue without a generation prompt, as `apply_chat_template(messages)`.
    std::vector<RenderedPiece> render(std::span<const Message> messages) const;

  private:
    std::string name_, jinja_, end_of_turn_, default_system_;
};

std::string to_text(std::span<const RenderedPiece> pieces);
/// Neighbouring texts are joined before they are encoded. Throws UsageError if the tokenizer lacks
/// a special token of the template.
std::vector<TokenId> encode_pieces(const Tokenizer& tokenizer,
                                   std::span<const RenderedPiece> pieces);

}  // namespace popalign
