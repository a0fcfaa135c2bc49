#include "lm/text/chat_template_named.hpp"
#include "lm/text/jinja/jinja.hpp"
#include "lm/text/unicode.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/hash.hpp>
#include <popalign/lm/text/chat_template.hpp>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

namespace popalign::lm {
namespace {

/// A literal of Jinja.
std::string literal(const std::string& value) {
    const bool number = !value.empty() && value.size() < 7 &&
                        std::ranges::all_of(value, [](unsigned char c) { return std::isdigit(c); });
    if (number || value == "true" || value == "false" || value == "none")
        return value;
    if (value.find_first_of("'\\\n") != std::string::npos)
        throw UsageError(fmt::format(
            "a template argument cannot hold quotes, backslashes or line breaks: {}", value));
    return "'" + value + "'";
}

std::string with_arguments(const std::string& source,
                           const std::map<std::string, std::string>& arguments) {
    std::string assignments;
    for (const auto& [name, value] : arguments)
        assignments += fmt::format("{{% set {} = {} %}}", name, literal(value));
    // The line break behind a block is not rendered.
    return assignments + (!arguments.empty() && source.starts_with('\n') ? "\n" : "") + source;
}

}  // namespace

struct ChatTemplate::Program {
    std::vector<jinja::Statement> statements;
    jinja::Dictionary variables;

    /// Throws jinja::Raised where the template refuses the dialogue, UsageError for what is not
    /// supported.
    jinja::Text run(std::span<const Message> messages, Ending ending) const {
        auto list = std::make_shared<jinja::List>();
        std::size_t content_bytes = 0;
        for (const Message& message : messages) {
            content_bytes += message.content.size();
            list->emplace_back(std::make_shared<jinja::Dictionary>(jinja::Dictionary{
                {"role", std::string(role_name(message.role))},
                {"content", jinja::Text(repair_utf8(message.content), PieceOrigin::content)}}));
        }
        jinja::Dictionary all = variables;
        all["messages"] = std::shared_ptr<const jinja::List>(std::move(list));
        all["add_generation_prompt"] = ending == Ending::generation_prompt;
        return jinja::render(statements, all, content_bytes);
    }
};

std::vector<std::string> ChatTemplate::names() {
    std::vector<std::string> names;
    for (const NamedTemplate& named : named_templates())
        names.emplace_back(named.name);
    return names;
}

ChatTemplate ChatTemplate::from_jinja(const std::string& source, const std::string& origin,
                                      const ChatVariables& variables) {
    ChatTemplate chat;
    chat.name_ = "own";
    auto program = std::make_shared<Program>();
    try {
        chat.jinja_ = with_arguments(repair_utf8(source), variables.arguments);
        program->statements = jinja::parse(chat.jinja_);
    } catch (const UsageError& error) {
        throw InputError(origin, fmt::format("the chat template cannot be read ({}); set "
                                             "chat_template to one of {}",
                                             error.what(), fmt::join(names(), ", ")));
    }
    program->variables = {{"tools", jinja::None{}}, {"documents", jinja::None{}}};
    if (variables.bos_token)
        program->variables["bos_token"] = *variables.bos_token;
    if (variables.eos_token)
        program->variables["eos_token"] = *variables.eos_token;
    chat.program_ = std::move(program);
    chat.probe(origin);
    return chat;
}

ChatTemplate ChatTemplate::named(std::string_view name, const ChatVariables& variables) {
    const auto known = named_templates();
    const auto found = std::ranges::find(known, name, &NamedTemplate::name);
    if (found == known.end())
        throw UsageError(fmt::format("there is no chat template '{}'; known are {}", name,
                                     fmt::join(names(), ", ")));
    ChatTemplate chat = from_jinja(std::string(found->jinja), std::string(name), variables);
    chat.name_ = name;
    return chat;
}

void ChatTemplate::probe(const std::string& origin) const {
    const Message system{Role::system, "S"}, user{Role::user, "U"}, assistant{Role::assistant, "A"};
    std::string refusal;
    bool renders = false;
    const auto fail = [&](const std::string& reason) {
        throw InputError(origin, fmt::format("the chat template renders no dialogue ({}); set "
                                             "chat_template to one of {}",
                                             reason, fmt::join(names(), ", ")));
    };
    for (const auto& dialogue : {std::vector{user}, std::vector{user, assistant, user},
                                 std::vector{system, user, assistant, user}})
        try {
            program_->run(dialogue, Ending::generation_prompt);
            renders = true;
        } catch (const jinja::Raised& raised) {
            refusal = raised.what();
        } catch (const UsageError& error) {
            fail(error.what());
        }
    if (!renders)
        fail(refusal);
}

std::string ChatTemplate::sha256() const {
    return sha256_hex(jinja_);
}

std::vector<RenderedPiece> ChatTemplate::render(std::span<const Message> messages, Ending ending,
                                                std::string_view assistant_prefix) const {
    if (messages.empty())
        throw UsageError("an empty dialogue cannot be rendered; give it a message");
    jinja::Text text;
    try {
        text = program_->run(messages, ending);
    } catch (const jinja::Raised& refusal) {
        throw UsageError(
            fmt::format("the chat template cannot render this dialogue: {}", refusal.what()));
    }
    text += jinja::Text(std::string(assistant_prefix), PieceOrigin::content);
    return text.pieces();
}

std::vector<RenderedPiece> ChatTemplate::render_prompt(std::span<const Message> messages,
                                                       std::string_view assistant_prefix) const {
    return render(messages, Ending::generation_prompt, assistant_prefix);
}

std::vector<RenderedPiece> ChatTemplate::render(std::span<const Message> messages) const {
    return render(messages, Ending::none, "");
}

std::string to_text(std::span<const RenderedPiece> pieces) {
    std::string text;
    for (const RenderedPiece& piece : pieces)
        text += piece.text;
    return text;
}

std::vector<TokenId> encode_pieces(const Tokenizer& tokenizer,
                                   std::span<const RenderedPiece> pieces) {
    std::vector<TokenId> ids;
    std::string text;
    const auto encode_text = [&] {
        const auto encoded = tokenizer.encode(
            text, ids.empty() ? TextPosition::beginning : TextPosition::continuation);
        ids.insert(ids.end(), encoded.begin(), encoded.end());
        text.clear();
    };
    for (const RenderedPiece& piece : pieces) {
        if (piece.origin == PieceOrigin::content) {
            text += piece.text;
            continue;
        }
        for (const Tokenizer::Section& section : tokenizer.split_special(piece.text)) {
            if (!section.token) {
                text += section.text;
                continue;
            }
            encode_text();
            ids.push_back(*section.token);
        }
    }
    encode_text();
    return ids;
}

std::optional<TokenId> end_of_turn(const ChatTemplate& chat, const Tokenizer& tokenizer) {
    std::vector<RenderedPiece> pieces;
    try {
        pieces = chat.render(std::vector<Message>{{Role::user, "U"}, {Role::assistant, "A"}});
    } catch (const UsageError&) {  // a template for single questions
        return std::nullopt;
    }
    if (pieces.empty() || pieces.back().origin == PieceOrigin::content)
        return std::nullopt;
    for (const Tokenizer::Section& section : tokenizer.split_special(pieces.back().text))
        if (section.token)
            return section.token;
    return std::nullopt;
}

}  // namespace popalign::lm
