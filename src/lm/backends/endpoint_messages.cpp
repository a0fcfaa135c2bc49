#include "lm/backends/endpoint_messages.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace popalign::lm {
namespace {

using Json = nlohmann::json;

/// The member `name` of an object, or null: nothing here may throw on a server's whim.
const Json& member(const Json& value, const char* name) {
    static const Json null;
    if (!value.is_object())
        return null;
    const auto found = value.find(name);
    return found == value.end() ? null : *found;
}

std::uint64_t count(const Json& value) {
    return value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
}

std::vector<ChatToken> parse_tokens(const Json& content) {
    std::vector<ChatToken> tokens;
    if (!content.is_array())
        return tokens;
    for (const Json& item : content) {
        ChatToken& token = tokens.emplace_back();
        if (const Json& text = member(item, "token"); text.is_string())
            token.token = text.get<std::string>();
        if (const Json& alternatives = member(item, "top_logprobs"); alternatives.is_array())
            for (const Json& other : alternatives)
                if (member(other, "token").is_string() && member(other, "logprob").is_number())
                    token.alternatives.push_back(
                        {other["token"].get<std::string>(), other["logprob"].get<double>()});
    }
    return tokens;
}

std::string dump(const Json& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string chat_request_body(const EndpointOptions& options, const ChatRequest& request,
                              const SamplingOptions& sampling) {
    Json body{{"model", options.model},
              {"messages", Json::array()},
              {options.length_field, request.max_tokens},
              {"temperature", sampling.temperature},
              {"top_p", sampling.top_p},
              {"seed", request.seed & 0x7fffffff}};
    for (const Message& message : request.messages)
        body["messages"].push_back(
            {{"role", role_name(message.role)}, {"content", message.content}});
    if (!request.assistant_prefix.empty()) {
        body["messages"].push_back({{"role", "assistant"}, {"content", request.assistant_prefix}});
        if (options.prefill == "continue") {
            body["add_generation_prompt"] = false;
            body["continue_final_message"] = true;
        }
    }
    // Not in OpenAI's interface, so sent only where asked for.
    if (sampling.top_k > 0)
        body["top_k"] = sampling.top_k;
    if (sampling.min_p > 0)
        body["min_p"] = sampling.min_p;
    if (sampling.repetition_penalty != 1)
        body["repetition_penalty"] = sampling.repetition_penalty;
    if (!request.stop.empty())
        body["stop"] = request.stop;
    if (request.top_logprobs > 0) {
        body["logprobs"] = true;
        body["top_logprobs"] = request.top_logprobs;
    }
    return dump(body);
}

std::optional<ChatAnswer> parse_chat_answer(std::string_view body) {
    const Json reply = Json::parse(body, nullptr, false);
    const Json& choices = member(reply, "choices");
    if (!choices.is_array() || choices.empty())
        return std::nullopt;
    const Json& choice = choices.front();
    const Json& content = member(member(choice, "message"), "content");
    const Json& reason = member(choice, "finish_reason");
    if (!member(choice, "message").is_object() || !(content.is_string() || content.is_null()))
        return std::nullopt;
    ChatAnswer answer;
    answer.text = content.is_string() ? content.get<std::string>() : "";
    answer.finish_reason = reason == "length" ? FinishReason::length : FinishReason::stop;
    answer.tokens = parse_tokens(member(member(choice, "logprobs"), "content"));
    const Json& usage = member(reply, "usage");
    answer.prompt_tokens = count(member(usage, "prompt_tokens"));
    answer.completion_tokens = count(member(usage, "completion_tokens"));
    return answer;
}

std::string error_text(std::string_view body) {
    constexpr std::size_t longest = 300;
    const Json reply = Json::parse(body, nullptr, false);
    const Json& error = member(reply, "error");
    const Json& message = error.is_object() ? member(error, "message") : error;
    std::string text = message.is_string()    ? message.get<std::string>()
                       : reply.is_discarded() ? std::string(body)
                                              : dump(reply);
    // A body may hold anything; a log line must not.
    std::ranges::replace_if(
        text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
    if (text.size() > longest)
        text = text.substr(0, longest) + "...";
    return text;
}

std::uint64_t estimate_prompt_tokens(const ChatRequest& request) {
    constexpr std::size_t bytes_per_token = 4, frame_tokens = 4;
    std::size_t bytes = request.assistant_prefix.size();
    for (const Message& message : request.messages)
        bytes += message.content.size();
    return bytes / bytes_per_token + frame_tokens * (request.messages.size() + 1);
}

}  // namespace popalign::lm
