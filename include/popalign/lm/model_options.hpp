#pragma once

#include <popalign/base/config.hpp>

#include <string>

namespace popalign {

/// A model named in the config.
struct ModelOptions {
    std::string path;
    std::string chat_template;
    std::string dtype = "float32";

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("path", path, "HF directory or GGUF file", Presence::required);
        v.field(
            "chat_template", chat_template,
            "chatml, gemma, llama2, llama3, mistral, vicuna, zephyr or yi; empty: the model's own");
        v.field("dtype", dtype, "float32 or bfloat16, what weights are computed in");
    }
};

}  // namespace popalign
