#pragma once

#include "app/rows.hpp"

#include <popalign/comm/run.hpp>
#include <popalign/lm/language_model.hpp>

#include <CLI/CLI.hpp>

#include <string>

namespace popalign {

/// The model of a command that needs no config file.
struct ModelArguments {
    std::string path, chat_template, dtype = "float32", device = "auto";

    void add_to(CLI::App& parser) {
        parser.add_option("--model", path, "HF directory or GGUF file")->required();
        parser.add_option("--chat-template", chat_template, "instead of the model's own");
        parser.add_option("--dtype", dtype, "float32 or bfloat16")->capture_default_str();
        parser.add_option("--device", device, "auto, cpu or cuda")->capture_default_str();
    }
    ModelFrontEnd load_front_end() const { return popalign::load_front_end(path, chat_template); }
    /// Collective.
    CausalLm load(const Communicator& comm) const {
        const Communicator node = comm.split_node();
        return run_on_all(comm, [&] {
            return load_for_inference(path, parse_dtype(dtype), select_device(device, node.rank()),
                                      node);
        });
    }
};

}  // namespace popalign
