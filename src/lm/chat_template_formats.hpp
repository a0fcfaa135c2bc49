#pragma once

#include <popalign/lm/chat_template.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace popalign {

/// Collects a rendered dialogue.
class PieceWriter {
  public:
    PieceWriter& text(std::string_view text);
    PieceWriter& special(std::string_view token);
    std::vector<RenderedPiece> take() { return std::move(pieces_); }

  private:
    std::vector<RenderedPiece> pieces_;
};

enum class Ending { none, generation_prompt };

/// One way to write dialogues.
struct ChatFormat {
    std::string_view name, end_of_turn;
    /// What `bos_token` and `eos_token` are in templates of this format.
    std::string_view bos, eos;
    /// A template that renders like `render` without a default system text.
    std::string_view jinja;
    /// Throws UsageError where the format forbids the order of roles. `messages` is not empty.
    void (*render)(std::span<const Message> messages, Ending ending, PieceWriter& writer);
};

/// All formats; where several render a template alike, the first is meant.
std::span<const ChatFormat> chat_formats();

/// `messages`, rendered in `format` with `default_system` put first where there is no system
/// message.
std::vector<RenderedPiece> render_dialogue(const ChatFormat& format,
                                           const std::string& default_system,
                                           std::span<const Message> messages, Ending ending,
                                           std::string_view assistant_prefix = "");

}  // namespace popalign
