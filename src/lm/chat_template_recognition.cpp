// Which known format a model's template is: the one that renders every sample dialogue as it does.
#include "lm/chat_template_formats.hpp"
#include "lm/chat_template_jinja.hpp"

#include <popalign/base/error.hpp>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <optional>
#include <utility>

namespace popalign {
namespace {

using Dialogue = std::vector<Message>;

/// Ordinary dialogues, with what templates are known to treat in their own ways: white space around
/// a content, empty contents, thoughts, tool calls written as text.
std::vector<Dialogue> samples() {
    std::vector<Dialogue> dialogues;
    const std::string contents[][3] = {
        {"Be brief.", "What is 2 + 2?", "It is 4."},
        {" \n Spaces\t", "\n\n  indented\n", " trailing \n "},
        {"", "", ""},
        {"<think>s</think>", "<think>\nwhy\n</think>\n\nso", "<think>\nhm\n</think>\n\nanswer"},
        {"# Tools", "<tool_response>\nx\n</tool_response>", "<tool_call>{}</tool_call>"},
        {"[INST]</s>", "<|im_end|>\n<|im_start|>system", "{{ x }} {% y %} </think>"}};
    for (const auto& [system, user, assistant] : contents) {
        const Message s{Role::system, system}, u{Role::user, user}, a{Role::assistant, assistant};
        const Message next{Role::user, "And " + user};
        for (const Dialogue& turns : {Dialogue{u}, Dialogue{u, a}, Dialogue{u, a, next},
                                      Dialogue{u, a, next, a}, Dialogue{u, a, next, a, u}}) {
            dialogues.push_back(turns);
            dialogues.push_back(turns);
            dialogues.back().insert(dialogues.back().begin(), s);
        }
    }
    const Message s{Role::system, "S"}, u{Role::user, "U"}, a{Role::assistant, "A"};
    for (const Dialogue& odd : {Dialogue{s}, Dialogue{a}, Dialogue{a, u}, Dialogue{u, u},
                                Dialogue{u, a, a}, Dialogue{u, s, u}, Dialogue{s, s, u},
                                Dialogue{s, a, u}, Dialogue{u, a, s}, Dialogue{s, u, u, a}})
        dialogues.push_back(odd);
    return dialogues;
}

/// A dialogue that a template or a format refuses has no text.
using Rendering = std::optional<std::string>;

class ModelTemplate {
  public:
    explicit ModelTemplate(const std::string& source) : statements_(jinja::parse(source)) {}

    Rendering render(const Dialogue& dialogue, Ending ending, const ChatFormat& format) const {
        auto messages = std::make_shared<jinja::List>();
        for (const Message& message : dialogue)
            messages->emplace_back(std::make_shared<jinja::Dictionary>(jinja::Dictionary{
                {"role", std::string(role_name(message.role))}, {"content", message.content}}));
        const jinja::Dictionary variables{
            {"messages", std::shared_ptr<const jinja::List>(std::move(messages))},
            {"add_generation_prompt", ending == Ending::generation_prompt},
            {"bos_token", std::string(format.bos)},
            {"eos_token", std::string(format.eos)},
            {"tools", jinja::None{}},
            {"documents", jinja::None{}}};
        try {
            return jinja::render(statements_, variables);
        } catch (const jinja::Raised&) {
            return std::nullopt;
        }
    }

  private:
    std::vector<jinja::Statement> statements_;
};

Rendering render(const ChatFormat& format, const std::string& default_system,
                 const Dialogue& dialogue, Ending ending) {
    try {
        return to_text(render_dialogue(format, default_system, dialogue, ending));
    } catch (const UsageError&) {
        return std::nullopt;
    }
}

/// What the template says to the model where the user set no system message.
std::string find_default_system(const ModelTemplate& model, const ChatFormat& format) {
    const auto given = model.render({{Role::user, "x"}}, Ending::none, format).value_or("");
    const std::string opening = "<|im_start|>system\n";
    const std::string closing = "<|im_end|>\n<|im_start|>user\nx<|im_end|>\n";
    if (!given.starts_with(opening) || !given.ends_with(closing) ||
        given.size() < opening.size() + closing.size())
        return "";
    return given.substr(opening.size(), given.size() - opening.size() - closing.size());
}

/// A format may refuse dialogues that the template renders, never the other way round.
bool renders_alike(const ModelTemplate& model, const ChatFormat& format,
                   const std::string& default_system) {
    for (const Dialogue& dialogue : samples())
        for (Ending ending : {Ending::none, Ending::generation_prompt}) {
            const Rendering ours = render(format, default_system, dialogue, ending);
            if (ours && ours != model.render(dialogue, ending, format))
                return false;
        }
    return true;
}

}  // namespace

ChatTemplate ChatTemplate::recognise(const std::string& source, const std::string& origin) {
    std::string reason = "it renders like none of the known formats";
    try {
        const ModelTemplate model(source);
        for (const ChatFormat& format : chat_formats()) {
            const std::string default_system = find_default_system(model, format);
            if (!renders_alike(model, format, default_system))
                continue;
            ChatTemplate chat = named(format.name);
            chat.jinja_ = source;
            chat.default_system_ = default_system;
            return chat;
        }
        if (source.find("<think>") != std::string::npos)
            reason = "templates that treat <think> are not supported";
    } catch (const UsageError& error) {
        reason = error.what();
    }
    throw InputError(origin, fmt::format("the model's chat template is not known ({}); set its "
                                         "chat_template to one of {}",
                                         reason, fmt::join(names(), ", ")));
}

}  // namespace popalign
