#include "app/command/command.hpp"
#include "app/command/model_arguments.hpp"

#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/transformer/architecture.hpp>
#include <popalign/lm/transformer/peak_performance.hpp>
#include <popalign/lm/transformer/trainable_lm.hpp>
#include <popalign/preference/training_bench.hpp>

#include <ATen/Parallel.h>
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <memory>

namespace popalign::app {
namespace {

struct Arguments {
    ModelArguments model;
    preference::TrainingBenchOptions bench;
};

nlohmann::ordered_json bench_train(const comm::Communicator& comm, const Arguments& arguments,
                                   const Logger& logger) {
    const preference::TrainingBenchOptions& bench = arguments.bench;
    const lm::ModelFrontEnd front_end =
        comm::run_on_all(comm, [&] { return arguments.model.load_front_end(); });
    const int local_rank = comm.split_node().rank();
    lm::TrainableLm model =
        comm::run_on_all(comm, [&] { return arguments.model.load_trainable(local_rank); });
    const preference::TrainingBenchFigures figures =
        preference::measure_training(comm, model, front_end, bench, logger);
    comm::barrier(comm);
    const double peak = comm::all_reduce(
        comm, lm::measure_peak_performance(model.dtype(), model.device()).gemm_flops,
        comm::Reduction::sum);
    const double flops = figures.model_flops / figures.training_seconds;
    return {{"bench", "train"},
            {"model", arguments.model.path},
            {"parameters", lm::parameter_count(model.config())},
            {"ranks", comm.size()},
            {"threads_per_rank", at::get_num_threads()},
            {"batching", bench.batching},
            {"zero_stage", bench.zero_stage},
            {"global_batch_size", bench.global_batch_size},
            {"micro_batch_tokens", bench.micro_batch_tokens},
            {"pairs", figures.pairs},
            {"tokens", figures.tokens},
            {"computed_tokens", figures.computed_tokens},
            {"last_loss", figures.last_loss},
            {"reference_seconds", figures.reference_seconds},
            {"training_seconds", figures.training_seconds},
            {"tokens_per_second",
             figures.tokens / (figures.training_seconds + figures.reference_seconds)},
            {"training_tokens_per_second", figures.tokens / figures.training_seconds},
            {"exposed_communication", figures.communication_seconds / figures.training_seconds},
            {"peak_memory_bytes", figures.peak_memory},
            {"model_flops_per_second", flops},
            {"limit", {{"gemm_flops_per_second", peak}}},
            {"fraction_of_limit", flops / peak}};
}

}  // namespace

Command make_bench_train_command(CLI::App& bench) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* parser = bench.add_subcommand(
        "train", "an epoch of DPO: pair tokens a second, beside what matrix products allow");
    arguments->model.add_to(*parser);
    parser
        ->add_option("--pairs", arguments->bench.pair_file,
                     "pair file (`popalign import` makes one)")
        ->required();
    parser->add_option("--global-batch-size", arguments->bench.global_batch_size, "pairs a step")
        ->capture_default_str();
    parser
        ->add_option("--micro-batch-tokens", arguments->bench.micro_batch_tokens,
                     "a pass, on each rank")
        ->capture_default_str();
    parser->add_option("--max-length", arguments->bench.max_length)->capture_default_str();
    parser->add_option("--max-prompt-length", arguments->bench.max_prompt_length)
        ->capture_default_str();
    parser->add_option("--batching", arguments->bench.batching, "shuffled or by_instruction")
        ->check(CLI::IsMember({"shuffled", "by_instruction"}))
        ->capture_default_str();
    parser->add_option("--zero-stage", arguments->bench.zero_stage, "0, 1 or 2")
        ->capture_default_str();
    parser->add_flag("--recompute", arguments->bench.activation_checkpointing,
                     "keep each layer's input only");
    parser->add_flag("--separate", arguments->bench.separate_prompts, "a prompt for every answer");
    return {parser, [arguments](const CommandContext& context) {
                const auto result = bench_train(context.comm, *arguments, context.logger);
                if (context.comm.is_root())
                    fmt::print("{}\n", result.dump(2));
                return ExitStatus::done;
            }};
}

}  // namespace popalign::app
