#include "app/command/command.hpp"
#include "app/command/model_arguments.hpp"

#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/transformer/machine_limits.hpp>
#include <popalign/preference/data/batch_plan.hpp>
#include <popalign/preference/pairs/pair_trainer.hpp>
#include <popalign/preference/pairs/reference.hpp>

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <memory>
#include <numeric>

namespace popalign::app {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Arguments {
    ModelArguments model;
    std::string pairs, batching = "shuffled";
    std::int64_t zero_stage = 0;
    std::int64_t global_batch_size = 16, micro_batch_tokens = 1024;
    preference::TokenLimits limits{1024, 512};
    bool recompute = false, separate = false;

    preference::PairTrainerOptions trainer_options() const {
        preference::PairTrainerOptions options;
        options.micro_batch_tokens = micro_batch_tokens;
        options.sharding.sharding = preference::parse_zero_stage(zero_stage);
        options.activations = recompute ? lm::PassOptions::Activations::recompute
                                        : lm::PassOptions::Activations::keep;
        options.packing =
            separate ? preference::PackingMode::separate : preference::PackingMode::shared;
        return options;
    }
    std::vector<std::size_t> order(const preference::PairData& data) const {
        const auto order = preference::epoch_order(data.size(), 0, 0);
        return batching == "by_instruction" ? preference::order_by_instruction(order, data.hashes)
                                            : order;
    }
};

/// What the steps of an epoch added up to.
struct Epoch {
    double seconds = 0, communication = 0, tokens = 0, loss = 0;
    preference::TrainingCost cost;
};

Epoch train_epoch(const comm::Communicator& comm, const Arguments& arguments,
                  const preference::PairData& data,
                  const preference::CompletionLogProbabilities& reference, lm::CausalLm& model) {
    preference::PairTrainer trainer(comm, model, arguments.trainer_options(),
                                    data.strategy_names.size());
    const auto order = arguments.order(data);
    const auto size = static_cast<std::size_t>(arguments.global_batch_size);
    Epoch epoch;
    for (std::size_t begin = 0; begin < order.size(); begin += size) {
        const auto batch = std::span(order).subspan(begin, std::min(size, order.size() - begin));
        const preference::BatchShare share = comm::run_on_all(
            comm, [&] { return preference::load_share(comm, data, reference, batch); });
        const preference::StepReport report = trainer.step(share, 5e-7);
        epoch.seconds += report.seconds;
        epoch.communication += report.communication;
        epoch.tokens += report.statistics.tokens();
        epoch.loss = report.statistics.mean_loss();
        epoch.cost += report.cost;
    }
    return epoch;
}

nlohmann::ordered_json bench_train(const comm::Communicator& comm, const Arguments& arguments,
                                   const Logger& logger) {
    const lm::ModelFrontEnd front_end =
        comm::run_on_all(comm, [&] { return arguments.model.load_front_end(); });
    const preference::PairData data = preference::open_pair_data(
        comm, arguments.pairs, front_end, {Split::train, {}, {}}, arguments.limits);
    const int local_rank = comm.split_node().rank();
    lm::CausalLm model = comm::run_on_all(comm, [&] {
        return lm::load_causal_lm(arguments.model.path, parse_dtype(arguments.model.dtype),
                                  lm::select_device(arguments.model.device, local_rank));
    });
    std::vector<std::size_t> items = arguments.order(data);
    comm::barrier(comm);
    const auto start = Clock::now();
    const auto reference = preference::compute_log_probabilities(
        comm, model, data, items, arguments.micro_batch_tokens, nullptr, logger);
    const double reference_seconds = seconds_since(start);
    const Epoch epoch = train_epoch(comm, arguments, data, reference, model);
    const double memory = comm::all_reduce(
        comm, static_cast<double>(lm::peak_memory(model.device())), comm::Reduction::sum);
    comm::barrier(comm);
    const double peak =
        comm::all_reduce(comm, lm::measure_machine_limits(model.dtype(), model.device()).gemm_flops,
                         comm::Reduction::sum);
    const double flops = epoch.cost.training() / epoch.seconds;
    return {{"bench", "train"},
            {"model", arguments.model.path},
            {"parameters", model.config().parameter_count()},
            {"ranks", comm.size()},
            {"threads_per_rank", at::get_num_threads()},
            {"batching", arguments.batching},
            {"zero_stage", arguments.zero_stage},
            {"global_batch_size", arguments.global_batch_size},
            {"micro_batch_tokens", arguments.micro_batch_tokens},
            {"pairs", data.size()},
            {"tokens", epoch.tokens},
            {"computed_tokens", epoch.cost.rows},
            {"last_loss", epoch.loss},
            {"reference_seconds", reference_seconds},
            {"training_seconds", epoch.seconds},
            {"tokens_per_second", epoch.tokens / (epoch.seconds + reference_seconds)},
            {"training_tokens_per_second", epoch.tokens / epoch.seconds},
            {"exposed_communication", epoch.communication / epoch.seconds},
            {"peak_memory_bytes", memory},
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
    parser->add_option("--pairs", arguments->pairs, "pair file (`popalign import` makes one)")
        ->required();
    parser->add_option("--global-batch-size", arguments->global_batch_size, "pairs a step")
        ->capture_default_str();
    parser
        ->add_option("--micro-batch-tokens", arguments->micro_batch_tokens, "a pass, on each rank")
        ->capture_default_str();
    parser->add_option("--max-length", arguments->limits.max_length)->capture_default_str();
    parser->add_option("--max-prompt-length", arguments->limits.max_prompt_length)
        ->capture_default_str();
    parser->add_option("--batching", arguments->batching, "shuffled or by_instruction")
        ->check(CLI::IsMember({"shuffled", "by_instruction"}))
        ->capture_default_str();
    parser->add_option("--zero-stage", arguments->zero_stage, "0, 1 or 2")->capture_default_str();
    parser->add_flag("--recompute", arguments->recompute, "keep each layer's input only");
    parser->add_flag("--separate", arguments->separate, "a prompt for every answer");
    return {parser, [arguments](const CommandContext& context) {
                const auto result = bench_train(context.comm, *arguments, context.logger);
                if (context.comm.is_root())
                    fmt::print("{}\n", result.dump(2));
                return ExitStatus::done;
            }};
}

}  // namespace popalign::app
