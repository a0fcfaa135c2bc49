#pragma once

#include "app/command/rows.hpp"

#include <popalign/base/error.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/checkpoint/language_model.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <string>

namespace popalign::app {

/// How the ranks are divided into groups that each hold the model once.
struct RankGroups {
    comm::Communicator group;  ///< this rank's
    int index = 0, count = 1;

    /// The first rank of a group speaks for it.
    bool leads() const { return group.is_root(); }
    /// This group's share of `rows`.
    comm::Range share(std::size_t rows) const { return comm::partition(rows, index, count); }
};

/// The model of a command that needs no config file.
struct ModelArguments {
    std::string path, chat_template, dtype = "float32", device = "auto";
    int tensor_parallel = 1;

    void add_to(CLI::App& parser) {
        parser.add_option("--model", path, "HF directory or GGUF file")->required();
        parser.add_option("--chat-template", chat_template, "instead of the model's own");
        parser.add_option("--dtype", dtype, "float32 or bfloat16")->capture_default_str();
        parser.add_option("--device", device, "auto, cpu or cuda")->capture_default_str();
    }
    void add_tensor_parallel_to(CLI::App& parser) {
        parser
            .add_option("--tensor-parallel", tensor_parallel, "ranks that hold the model together")
            ->capture_default_str();
    }
    /// Collective.
    RankGroups groups(const comm::Communicator& comm) const {
        comm::run_on_all(comm, [&] {
            if (tensor_parallel < 1 || comm.size() % tensor_parallel != 0)
                throw UsageError(
                    fmt::format("{} ranks cannot be divided into groups of {}; change "
                                "--tensor-parallel or the number of ranks",
                                comm.size(), tensor_parallel));
        });
        const int index = comm.rank() / tensor_parallel;
        return {comm.split(index), index, comm.size() / tensor_parallel};
    }
    lm::ModelFrontEnd load_front_end() const {
        return popalign::lm::load_front_end(path, chat_template);
    }
    /// Collective.
    lm::CausalLm load(const comm::Communicator& comm, const RankGroups& groups = {}) const {
        const comm::Communicator node = comm.split_node();
        const at::Device place =
            comm::run_on_all(comm, [&] { return lm::select_device(device, node.rank()); });
        const lm::TensorParallel parallel(groups.group, place);
        return comm::run_on_all(comm, [&] {
            return lm::load_for_inference(path, parse_dtype(dtype), place, node, parallel);
        });
    }
};

}  // namespace popalign::app
