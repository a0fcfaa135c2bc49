#pragma once

#include <popalign/lm/backends/endpoint_options.hpp>

#include <map>
#include <string>

namespace popalign::lm {

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
