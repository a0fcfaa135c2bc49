#include "app/evaluate/evaluate_arguments.hpp"
#include "app/evaluate/evaluate_commands.hpp"
#include "app/evaluate/scores_command.hpp"

#include <popalign/base/provenance.hpp>
#include <popalign/evaluation/benchmark.hpp>

#include <memory>

namespace popalign::app {

ExitStatus evaluate_benchmark(const CommandContext& context, const EvaluateArguments& arguments,
                              const std::function<evaluation::Benchmark()>& load) {
    return with_config(context, arguments.config, [&](const Config& config) {
        const evaluation::BenchmarkInputs inputs = comm::run_on_all(context.comm, [&] {
            evaluation::Benchmark benchmark = load();
            evaluation::keep_first(benchmark.items, config.evaluate.limit);
            const std::string file = benchmark.name + ".json";
            return evaluation::BenchmarkInputs{
                config.run,
                config.models,
                config.evaluate,
                arguments.policy(config),
                std::move(benchmark),
                arguments.output_path(config, file),
                provenance_json(context.comm.size(), context.command_line),
                context.logger};
        });
        const Deadline deadline = make_deadline(config.run);
        const lm::ModelRanks ranks(context.comm, config.run.tensor_parallel);
        return ranks.run([&] { return evaluation::run_benchmark(ranks, inputs, &deadline); });
    });
}

std::string benchmark_data(const std::string& given, const std::string& name) {
    return given.empty() ? (std::filesystem::path(benchmark_folder) / name).native() : given;
}

Command make_evaluate_mt_bench_command(CLI::App& evaluate) {
    auto arguments = std::make_shared<EvaluateArguments>();
    CLI::App* parser =
        evaluate.add_subcommand("mt-bench", "ratings of answers in two turns, by category");
    arguments->add_to(*parser);
    arguments->add_data_to(*parser);
    return {parser, [arguments](const CommandContext& context) {
                return evaluate_benchmark(context, *arguments, [&] {
                    return evaluation::load_mt_bench(benchmark_data(arguments->data, "mt_bench"));
                });
            }};
}

Command make_evaluate_hh_rlhf_command(CLI::App& evaluate) {
    auto arguments = std::make_shared<EvaluateArguments>();
    CLI::App* parser = evaluate.add_subcommand(
        "hh-rlhf", "judged win rate over the baseline on harmless-base and helpful-base prompts");
    arguments->add_to(*parser);
    arguments->add_data_to(*parser);
    return {parser, [arguments](const CommandContext& context) {
                return evaluate_benchmark(context, *arguments, [&] {
                    return evaluation::load_hh_rlhf(benchmark_data(arguments->data, "hh_rlhf"));
                });
            }};
}

}  // namespace popalign::app
