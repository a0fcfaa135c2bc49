#include "lm/chat_template_formats.hpp"

#include "lm/unicode.hpp"

#include <popalign/base/error.hpp>

#include <fmt/core.h>

namespace popalign {
namespace {

/// As Python's str.strip.
std::string_view strip(std::string_view text) {
    std::size_t begin = text.size(), end = 0;
    for (std::size_t offset = 0; offset < text.size();) {
        const std::size_t at = offset;
        if (is_python_space(next_code_point(text, offset)))
            continue;
        begin = std::min(begin, at);
        end = offset;
    }
    return begin < end ? text.substr(begin, end - begin) : std::string_view();
}

[[noreturn]] void refuse(std::string_view format, std::string_view rule) {
    throw UsageError(
        fmt::format("the chat template '{}' cannot render this dialogue: {}", format, rule));
}

/// The text of the system message, if the dialogue begins with one, and the rest, in which user and
/// assistant must alternate.
struct Turns {
    std::optional<std::string_view> system;
    std::span<const Message> messages;
};

Turns alternating_turns(std::string_view format, std::span<const Message> messages) {
    Turns turns{std::nullopt, messages};
    if (messages.front().role == Role::system) {
        turns.system = messages.front().content;
        turns.messages = messages.subspan(1);
    }
    for (std::size_t i = 0; i < turns.messages.size(); ++i)
        if (turns.messages[i].role != (i % 2 == 0 ? Role::user : Role::assistant))
            refuse(format, "after the system message, user and assistant must alternate");
    if (turns.messages.empty())
        refuse(format, "it has no user message");
    return turns;
}

void chatml(std::span<const Message> messages, Ending ending, PieceWriter& out) {
    for (const Message& message : messages)
        out.special("<|im_start|>")
            .text(role_name(message.role))
            .text("\n")
            .text(message.content)
            .special("<|im_end|>")
            .text("\n");
    if (ending == Ending::generation_prompt)
        out.special("<|im_start|>").text("assistant\n");
}

void llama2(std::span<const Message> messages, Ending, PieceWriter& out) {
    const Turns turns = alternating_turns("llama2", messages);
    bool first = true;
    for (const Message& message : turns.messages) {
        std::string content = message.content;
        if (first && turns.system)
            content = fmt::format("<<SYS>>\n{}\n<</SYS>>\n\n{}", *turns.system, content);
        first = false;
        if (message.role == Role::user)
            out.special("<s>").text("[INST] ").text(strip(content)).text(" [/INST]");
        else
            out.text(" ").text(strip(content)).text(" ").special("</s>");
    }
}

void mistral(std::span<const Message> messages, Ending, PieceWriter& out) {
    const Turns turns = alternating_turns("mistral", messages);
    if (turns.system)
        refuse("mistral", "it has no place for a system message");
    out.special("<s>");
    for (const Message& message : turns.messages)
        if (message.role == Role::user)
            out.text("[INST] ").text(message.content).text(" [/INST]");
        else
            out.text(message.content).special("</s>");
}

void llama3(std::span<const Message> messages, Ending ending, PieceWriter& out) {
    const auto header = [&](Role role) {
        out.special("<|start_header_id|>").text(role_name(role)).special("<|end_header_id|>");
        out.text("\n\n");
    };
    out.special("<|begin_of_text|>");
    for (const Message& message : messages) {
        header(message.role);
        out.text(strip(message.content)).special("<|eot_id|>");
    }
    if (ending == Ending::generation_prompt)
        header(Role::assistant);
}

constexpr std::string_view vicuna_system =
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions.";

void vicuna(std::span<const Message> messages, Ending ending, PieceWriter& out) {
    const Turns turns = alternating_turns("vicuna", messages);
    out.special("<s>").text(turns.system.value_or(vicuna_system)).text(" ");
    for (const Message& message : turns.messages)
        if (message.role == Role::user)
            out.text("USER: ").text(message.content).text(" ");
        else
            out.text("ASSISTANT: ").text(message.content).special("</s>");
    if (ending == Ending::generation_prompt)
        out.text("ASSISTANT:");
}

/// Zephyr's role markers are plain text to its tokenizer.
void zephyr(std::span<const Message> messages, Ending ending, PieceWriter& out) {
    for (const Message& message : messages)
        out.text("<|")
            .text(role_name(message.role))
            .text("|>\n")
            .text(message.content)
            .special("</s>")
            .text("\n");
    if (ending == Ending::generation_prompt)
        out.text("<|assistant|>\n");
}

void gemma(std::span<const Message> messages, Ending ending, PieceWriter& out) {
    const Turns turns = alternating_turns("gemma", messages);
    out.special("<bos>");
    bool first = true;
    for (const Message& message : turns.messages) {
        out.special("<start_of_turn>").text(message.role == Role::user ? "user\n" : "model\n");
        if (first && turns.system)
            out.text(*turns.system).text("\n\n");
        first = false;
        out.text(strip(message.content)).special("<end_of_turn>").text("\n");
    }
    if (ending == Ending::generation_prompt)
        out.special("<start_of_turn>").text("model\n");
}

constexpr std::string_view chatml_jinja =
    R"({% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %})";

constexpr std::string_view llama2_jinja =
    R"({% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\n' + system_message + '\n<</SYS>>\n\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ '<s>' + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + '</s>' }}{% endif %}{% endfor %})";

constexpr std::string_view mistral_jinja =
    R"({{ '<s>' }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ message['content'] + '</s>' }}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %})";

constexpr std::string_view llama3_jinja =
    R"({% for message in messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = '<|begin_of_text|>' + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %})";

constexpr std::string_view vicuna_jinja =
    R"({% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions." %}{% endif %}{{ '<s>' + system_message + ' ' }}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if message['role'] == 'user' %}{{ 'USER: ' + message['content'] + ' ' }}{% else %}{{ 'ASSISTANT: ' + message['content'] + '</s>' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %})";

constexpr std::string_view zephyr_jinja =
    R"({% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + '</s>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %})";

constexpr std::string_view gemma_jinja =
    R"({{ '<bos>' }}{% if messages[0]['role'] == 'system' %}{% set prefix = messages[0]['content'] + '\n\n' %}{% set loop_messages = messages[1:] %}{% else %}{% set prefix = '' %}{% set loop_messages = messages %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\n' + (prefix if loop.first else '') + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %})";

// ChatML writes no BOS or EOS: a template that does has another text than the one given here.
constexpr std::string_view none = "<a token that ChatML does not write>";

constexpr ChatFormat formats[] = {
    {"chatml", "<|im_end|>", none, none, chatml_jinja, chatml},
    {"gemma", "<end_of_turn>", "<bos>", "<eos>", gemma_jinja, gemma},
    {"llama2", "</s>", "<s>", "</s>", llama2_jinja, llama2},
    {"llama3", "<|eot_id|>", "<|begin_of_text|>", "<|end_of_text|>", llama3_jinja, llama3},
    {"mistral", "</s>", "<s>", "</s>", mistral_jinja, mistral},
    {"vicuna", "</s>", "<s>", "</s>", vicuna_jinja, vicuna},
    {"yi", "<|im_end|>", none, none, chatml_jinja, chatml},
    {"zephyr", "</s>", "<s>", "</s>", zephyr_jinja, zephyr}};

}  // namespace

PieceWriter& PieceWriter::text(std::string_view text) {
    if (pieces_.empty() || pieces_.back().special)
        pieces_.push_back({std::string(text), false});
    else
        pieces_.back().text += text;
    return *this;
}

PieceWriter& PieceWriter::special(std::string_view token) {
    pieces_.push_back({std::string(token), true});
    return *this;
}

std::span<const ChatFormat> chat_formats() {
    return formats;
}

std::vector<RenderedPiece> render_dialogue(const ChatFormat& format,
                                           const std::string& default_system,
                                           std::span<const Message> messages, Ending ending,
                                           std::string_view assistant_prefix) {
    if (messages.empty())
        refuse(format.name, "it is empty");
    std::vector<Message> valid;
    if (!default_system.empty() && messages.front().role != Role::system)
        valid.push_back({Role::system, default_system});
    for (const Message& message : messages)
        valid.push_back({message.role, repair_utf8(message.content)});
    PieceWriter writer;
    format.render(valid, ending, writer);
    if (!assistant_prefix.empty())
        writer.text(assistant_prefix);
    return writer.take();
}

}  // namespace popalign
