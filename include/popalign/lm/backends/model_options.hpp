#pragma once

#include <popalign/base/config.hpp>

#include <cstdint>
#include <map>
#include <string>

namespace popalign::lm {

/// Access to an OpenAI-compatible server. Limits hold for the whole run: ranks share them.
struct EndpointOptions {
    std::string url, model, api_key_env, prefill = "none", length_field = "max_tokens";
    std::int64_t requests_in_flight = 32, requests_per_minute = 0, tokens_per_minute = 0;
    std::int64_t retries = 8, top_logprobs = 20;
    double timeout = 600, backoff = 1;
    double prompt_price = 0, completion_price = 0;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("url", url, "OpenAI-compatible server, e.g. http://localhost:8000/v1");
        v.field("model", model, "name of the model on the server");
        v.field("api_key_env", api_key_env, "environment variable that holds the key; empty: none",
                Effect::speed);
        v.field("prefill", prefill,
                "form in which a given beginning of the answer is sent: none (refused), continue "
                "(vLLM's continue_final_message) or last_message");
        v.field("length_field", length_field,
                "request field for the longest answer: max_tokens or max_completion_tokens");
        v.field("requests_in_flight", requests_in_flight, "most requests in flight, over all ranks",
                Effect::speed);
        v.field("requests_per_minute", requests_per_minute,
                "most requests a minute, over all ranks; 0: no limit", Effect::speed);
        v.field("tokens_per_minute", tokens_per_minute,
                "most tokens of prompts and answers a minute, over all ranks; 0: no limit",
                Effect::speed);
        v.field("retries", retries, "further attempts after a transient failure", Effect::speed);
        v.field("timeout", timeout, "longest time for one attempt [s]", Effect::speed);
        v.field("backoff", backoff, "wait before the first retry, doubled each time up to 60 s [s]",
                Effect::speed);
        v.field("top_logprobs", top_logprobs,
                "log-probabilities per token that a judge requests; 0: read only its letter");
        v.field("prompt_price", prompt_price,
                "price of a million prompt tokens, for the cost report", Effect::speed);
        v.field("completion_price", completion_price, "price of a million answer tokens",
                Effect::speed);
    }
    /// Throws UsageError. `name` is the model's name in the config.
    void validate(const std::string& name) const;
};

/// A model named in the config: weights on this machine (`path`), a server (`url`) or a file of
/// ready answers (`responses`).
struct ModelOptions {
    std::string path;
    std::string chat_template;
    std::map<std::string, std::string> template_arguments;
    std::string dtype = "float32";
    std::string responses;
    EndpointOptions endpoint;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("path", path, "HF directory or GGUF file", Effect::file);
        v.field(
            "chat_template", chat_template,
            "chatml, gemma, llama2, llama3, mistral, vicuna, zephyr or yi; empty: the model's own");
        v.field("template_arguments", template_arguments,
                "variables of the chat template, e.g. {enable_thinking: false} for Qwen3");
        v.field("dtype", dtype, "type of the computation: float32 or bfloat16");
        v.field("responses", responses,
                "in place of `path`: JSONL of ready answers {id or instruction, text, generation?}",
                Effect::file);
        endpoint.visit(v);
    }
    /// Throws UsageError unless exactly one of the three is given. `name` is the model's name in
    /// the config.
    void validate(const std::string& name) const;
    /// Returns the path. Throws UsageError, naming `purpose`, if the weights are not on this
    /// machine.
    const std::string& require_path(const std::string& purpose) const;
};

}  // namespace popalign::lm
