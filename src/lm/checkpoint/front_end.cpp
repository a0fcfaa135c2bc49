#include "lm/text/model_files.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/base/hash.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>
#include <popalign/lm/transformer/architecture.hpp>
#include <popalign/store/weights/gguf.hpp>
#include <popalign/store/weights/safetensors.hpp>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace popalign::lm {
namespace {

/// The model's own chat template; empty if it has none.
std::string read_jinja(const std::filesystem::path& directory) {
    if (const auto file = directory / "chat_template.jinja"; std::filesystem::exists(file)) {
        const MappedFile mapped(file);
        return {reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size()};
    }
    const auto file = directory / "tokenizer_config.json";
    if (!std::filesystem::exists(file))
        return "";
    const nlohmann::json json = read_json_file(file);
    const auto found = json.is_object() ? json.find("chat_template") : json.end();
    return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

/// `eos_token_id` of generation_config.json or config.json: a number or a list.
std::vector<TokenId> read_stop_tokens(const std::filesystem::path& directory) {
    for (const char* name : {"generation_config.json", "config.json"}) {
        if (!std::filesystem::exists(directory / name))
            continue;
        const nlohmann::json json = read_json_file(directory / name);
        const auto found = json.is_object() ? json.find("eos_token_id") : json.end();
        if (found == json.end() || found->is_null())
            continue;
        try {
            return found->is_array() ? found->get<std::vector<TokenId>>()
                                     : std::vector<TokenId>{found->get<TokenId>()};
        } catch (const nlohmann::json::exception&) {
            throw InputError((directory / name).native(), "eos_token_id is no number or list");
        }
    }
    return {};
}

std::optional<std::string> text_of(const Tokenizer& tokenizer, std::optional<TokenId> token) {
    if (!token)
        return std::nullopt;
    return tokenizer.decode_with_special(std::span(&*token, 1));
}

}  // namespace

const ChatTemplate& ModelFrontEnd::require_chat(const std::string& model) const {
    if (chat)
        return *chat;
    throw UsageError(
        fmt::format("{}: the model brings no chat template; set its chat_template to "
                    "one of {}",
                    model, fmt::join(ChatTemplate::names(), ", ")));
}

ModelFrontEnd load_front_end(const std::filesystem::path& path, const std::string& chat_template,
                             const std::map<std::string, std::string>& template_arguments) {
    std::string jinja;
    std::vector<TokenId> stop_tokens;
    const auto tokenizer = [&] {
        if (is_gguf(path)) {
            const store::GgufFile file(path);
            jinja = file.text("tokenizer.chat_template").value_or("");
            return Tokenizer::from_gguf(file);
        }
        jinja = read_jinja(path);
        stop_tokens = read_stop_tokens(path);
        if (const auto file = path / "tokenizer.json"; std::filesystem::exists(file))
            return Tokenizer::from_json(file);
        if (const auto file = path / "tokenizer.model"; std::filesystem::exists(file))
            return Tokenizer::from_model_file(file);
        throw InputError(path.native(),
                         "no tokenizer.json or tokenizer.model in it; save the tokenizer there");
    }();
    ModelFrontEnd front_end{tokenizer, std::nullopt, std::move(stop_tokens)};
    const ChatVariables variables{text_of(tokenizer, tokenizer.bos_token()),
                                  text_of(tokenizer, tokenizer.eos_token()), template_arguments};
    if (!chat_template.empty())
        front_end.chat = ChatTemplate::named(chat_template, variables);
    else if (!jinja.empty())
        front_end.chat = ChatTemplate::from_jinja(jinja, path.native(), variables);

    const auto add = [&](std::optional<TokenId> token) {
        auto& tokens = front_end.stop_tokens;
        if (token && std::ranges::find(tokens, *token) == tokens.end())
            tokens.push_back(*token);
    };
    add(tokenizer.eos_token());
    if (front_end.chat)
        add(end_of_turn(*front_end.chat, tokenizer));
    return front_end;
}

ModelIdentity identify_model(const std::filesystem::path& path, const ModelFrontEnd& front_end) {
    ModelIdentity identity;
    identity.path = path.native();
    if (is_gguf(path)) {
        identity.sha256 = sha256_file(path);
    } else {
        std::string all;
        const store::SafetensorsModel weights(path);
        for (const auto& file : weights.files())
            all += sha256_file(file) + "\n";
        identity.sha256 = sha256_hex(all);
    }
    identity.tokenizer_sha256 = front_end.tokenizer.sha256();
    identity.template_sha256 = front_end.chat ? front_end.chat->sha256() : "";
    identity.parameters = static_cast<std::uint64_t>(parameter_count(load_model_config(path)));
    return identity;
}

bool is_reward_model(const std::filesystem::path& path) {
    if (is_gguf(path))
        return false;
    const auto json = read_json_file(path / "config.json");
    const auto names = json.find("architectures");
    if (names == json.end() || !names->is_array() || names->empty() ||
        !names->front().is_string() ||
        !names->front().get<std::string>().ends_with("ForSequenceClassification"))
        return false;
    const auto labels = json.find("id2label");
    if (labels == json.end() || labels->size() != 1)
        throw InputError((path / "config.json").native(),
                         "a classifier with other than one label; a reward model has one score");
    return true;
}

}  // namespace popalign::lm
