#pragma once

#include <popalign/lm/text/tokenizer.hpp>
#include <popalign/record/message.hpp>
#include <popalign/record/token.hpp>

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace popalign::lm {

enum class PieceOrigin : char { chat_template, content };

/// Part of a rendered dialogue. Special tokens are recognised only in text of the template, never
/// in text of the messages, so that a user cannot forge a turn.
struct RenderedPiece {
    std::string text;
    PieceOrigin origin = PieceOrigin::chat_template;
};

/// Variables of a template other than the dialogue.
struct ChatVariables {
    std::optional<std::string> bos_token, eos_token;
    /// Set before the template runs, e.g. {"enable_thinking", "false"}: true, false, none, an
    /// integer or text.
    std::map<std::string, std::string> arguments;
};

/// Format in which a model takes a dialogue: a Jinja template, rendered as in `transformers`,
/// without tools and without a date. Immutable.
class ChatTemplate {
  public:
    /// Parses a template. Throws InputError naming `origin` if it is malformed or uses unsupported
    /// parts of Jinja.
    static ChatTemplate from_jinja(const std::string& source, const std::string& origin,
                                   const ChatVariables& variables = {});
    /// Returns one of `names()`, for models without a template. Throws UsageError for an unknown
    /// name, listing the known ones.
    static ChatTemplate named(std::string_view name, const ChatVariables& variables = {});
    static std::vector<std::string> names();

    /// "own", or the name given to `named`.
    const std::string& name() const noexcept { return name_; }
    /// Jinja source for exported models, with the arguments in front.
    const std::string& jinja() const noexcept { return jinja_; }
    std::string sha256() const;

    /// Renders the dialogue and the opening of the assistant's turn, followed by
    /// `assistant_prefix`: equal to `apply_chat_template(messages, add_generation_prompt=True) +
    /// assistant_prefix`. Throws UsageError if the template rejects the dialogue.
    std::vector<RenderedPiece> render_prompt(std::span<const Message> messages,
                                             std::string_view assistant_prefix = "") const;
    /// Renders the whole dialogue without a generation prompt, as `apply_chat_template(messages)`.
    std::vector<RenderedPiece> render(std::span<const Message> messages) const;

  private:
    struct Program;
    enum class Ending { none, generation_prompt };
    std::vector<RenderedPiece> render(std::span<const Message> messages, Ending ending,
                                      std::string_view assistant_prefix) const;
    /// Renders test dialogues, so that errors of the template show when the model is loaded.
    void probe(const std::string& origin) const;

    std::string name_, jinja_;
    std::shared_ptr<const Program> program_;
};

std::string to_text(std::span<const RenderedPiece> pieces);
/// Encodes as `tokenizers` does the whole text, except that special tokens in message contents are
/// plain text.
std::vector<TokenId> encode_pieces(const Tokenizer& tokenizer,
                                   std::span<const RenderedPiece> pieces);
/// Returns the token that ends the assistant's turn: the first special token that `chat` writes
/// after an answer; nothing if it writes none.
std::optional<TokenId> end_of_turn(const ChatTemplate& chat, const Tokenizer& tokenizer);

}  // namespace popalign::lm
