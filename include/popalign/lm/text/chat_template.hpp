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

/// Part of a rendered dialogue. What the template wrote may name special tokens; what the messages
/// brought is text, whatever it looks like: a user can never forge a turn.
struct RenderedPiece {
    std::string text;
    PieceOrigin origin = PieceOrigin::chat_template;
};

/// What a template sees beside the dialogue.
struct ChatVariables {
    std::optional<std::string> bos_token, eos_token;
    /// Set before the template runs, e.g. {"enable_thinking", "false"}: true, false, none, an
    /// integer or text.
    std::map<std::string, std::string> arguments;
};

/// How a model writes a dialogue: its own Jinja template, rendered as `transformers` does, without
/// tools and without a date. Immutable.
class ChatTemplate {
  public:
    /// Throws InputError naming `origin` for what is no template, or needs more of Jinja than is
    /// read here.
    static ChatTemplate from_jinja(const std::string& source, const std::string& origin,
                                   const ChatVariables& variables = {});
    /// One of `names()`, for models that bring none. Throws UsageError for an unknown name, listing
    /// the known ones.
    static ChatTemplate named(std::string_view name, const ChatVariables& variables = {});
    static std::vector<std::string> names();

    /// "own", or what it was named by.
    const std::string& name() const noexcept { return name_; }
    /// Jinja source for exported models, with the arguments in front.
    const std::string& jinja() const noexcept { return jinja_; }
    std::string sha256() const;

    /// The dialogue, then the opening of the assistant's turn followed by `assistant_prefix`: equal
    /// to `apply_chat_template(messages, add_generation_prompt=True) + assistant_prefix`. Throws
    /// UsageError where the template refuses the dialogue.
    std::vector<RenderedPiece> render_prompt(std::span<const Message> messages,
                                             std::string_view assistant_prefix = "") const;
    /// The whole dialogue without a generation prompt, as `apply_chat_template(messages)`.
    std::vector<RenderedPiece> render(std::span<const Message> messages) const;

  private:
    struct Program;
    enum class Ending { none, generation_prompt };
    std::vector<RenderedPiece> render(std::span<const Message> messages, Ending ending,
                                      std::string_view assistant_prefix) const;
    /// What the template cannot do is said when the model is loaded.
    void probe(const std::string& origin) const;

    std::string name_, jinja_;
    std::shared_ptr<const Program> program_;
};

std::string to_text(std::span<const RenderedPiece> pieces);
/// As `tokenizers` encodes the whole text, but for special tokens in contents, which are text.
std::vector<TokenId> encode_pieces(const Tokenizer& tokenizer,
                                   std::span<const RenderedPiece> pieces);
/// The token that ends the assistant's turn: the first special one that `chat` writes behind an
/// answer; nothing where it writes none.
std::optional<TokenId> end_of_turn(const ChatTemplate& chat, const Tokenizer& tokenizer);

}  // namespace popalign::lm
