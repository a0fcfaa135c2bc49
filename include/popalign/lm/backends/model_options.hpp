#pragma once

#include <popalign/base/config.hpp>

#include <cstdint>
#include <map>
#include <string>

namespace popalign::lm {

/// How an OpenAI-compatible server is reached. Limits are of the whole run: ranks share them.
struct EndpointOptions {
    std::string url, model, api_key_env, prefill = "none", length_field = "max_tokens";
    std::int64_t requests_in_flight = 32, requests_per_minute = 0, tokens_per_minute = 0;
    std::int64_t retries = 8, top_logprobs = 20;
    double timeout = 600, backoff = 1;
    double prompt_price = 0, completion_price = 0;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("url", url, "OpenAI-compatible server, e.g. http://localhost:8000/v1");
        v.field("model", model, "what the server calls the model");
        v.field("api_key_env", api_key_env, "environment variable that holds the key; empty: none");
        v.field("prefill", prefill,
                "how a given beginning of the answer is sent: none (refused), continue (vLLM's "
                "continue_final_message) or last_message");
        v.field("length_field", length_field, "max_tokens or max_completion_tokens");
        v.field("requests_in_flight", requests_in_flight, "at most, over all ranks");
        v.field("requests_per_minute", requests_per_minute, "at most, over all ranks; 0: any");
        v.field("tokens_per_minute", tokens_per_minute,
                "of prompts and answers, at most, over all ranks; 0: any");
        v.field("retries", retries, "further attempts after a failure that may pass");
        v.field("timeout", timeout, "for one attempt [s]");
        v.field("backoff", backoff, "wait before the first retry, doubled up to 60 s [s]");
        v.field("top_logprobs", top_logprobs,
                "alternatives a judge asks for; 0: read its letter alone");
        v.field("prompt_price", prompt_price, "of a million prompt tokens, for the cost report");
        v.field("completion_price", completion_price, "of a million answer tokens");
    }
    /// Throws UsageError; `name` is the model's in the config.
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
        v.field("path", path, "HF directory or GGUF file");
        v.field(
            "chat_template", chat_template,
            "chatml, gemma, llama2, llama3, mistral, vicuna, zephyr or yi; empty: the model's own");
        v.field("template_arguments", template_arguments,
                "variables of the chat template, e.g. {enable_thinking: false} for Qwen3");
        v.field("dtype", dtype, "float32 or bfloat16, what weights are computed in");
        v.field("responses", responses,
                "instead of a path: JSONL of ready answers {id or instruction, text, generation?}");
        endpoint.visit(v);
    }
    /// Throws UsageError unless it is exactly one of the three; `name` is its name in the config.
    void validate(const std::string& name) const;
    /// The path; throws UsageError where the weights are not on this machine, as `purpose` needs.
    const std::string& require_path(const std::string& purpose) const;
};

}  // namespace popalign::lm
