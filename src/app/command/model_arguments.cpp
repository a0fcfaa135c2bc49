#include "app/command/model_arguments.hpp"

#include <popalign/base/error.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/checkpoint/language_model.hpp>
#include <popalign/lm/transformer/tensor_parallel.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace popalign::app {
namespace {

at::ScalarType parse_dtype(const std::string& name) {
    if (name == "float32")
        return at::kFloat;
    if (name == "bfloat16")
        return at::kBFloat16;
    throw UsageError(fmt::format("dtype '{}' is not float32 or bfloat16", name));
}

}  // namespace

void ModelArguments::add_to(CLI::App& parser) {
    parser.add_option("--model", path, "HF directory or GGUF file")->required();
    parser.add_option("--chat-template", chat_template, "instead of the model's own");
    parser.add_option("--dtype", dtype, "float32 or bfloat16")->capture_default_str();
    parser.add_option("--device", device, "auto, cpu or cuda")->capture_default_str();
}

void ModelArguments::add_tensor_parallel_to(CLI::App& parser) {
    parser.add_option("--tensor-parallel", tensor_parallel, "ranks that hold the model together")
        ->capture_default_str();
}

RankGroups ModelArguments::groups(const comm::Communicator& comm) const {
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

lm::ModelFrontEnd ModelArguments::load_front_end() const {
    return lm::load_front_end(path, chat_template);
}

lm::CausalLm ModelArguments::load(const comm::Communicator& comm, const RankGroups& groups) const {
    const comm::Communicator node = comm.split_node();
    const at::Device place =
        comm::run_on_all(comm, [&] { return lm::select_device(device, node.rank()); });
    const lm::TensorParallel parallel(groups.group, place);
    return comm::run_on_all(comm, [&] {
        return lm::load_for_inference(path, parse_dtype(dtype), place, node, parallel);
    });
}

lm::TrainableLm ModelArguments::load_trainable(int local_rank) const {
    return lm::load_causal_lm(path, parse_dtype(dtype), lm::select_device(device, local_rank));
}

}  // namespace popalign::app
