#include "app/evaluate/benchmarks.hpp"

#include "app/command/with_config.hpp"
#include "app/evaluate/arguments.hpp"
#include "app/evaluate/judged_elsewhere.hpp"
#include "app/evaluate/print_result.hpp"

#include <popalign/base/provenance.hpp>
#include <popalign/evaluation/benchmark_stage.hpp>

#include <fmt/ranges.h>

#include <memory>

namespace popalign::app {
namespace {

using evaluation::BenchmarkRow;

struct Arguments : EvaluateArguments {
    std::string version;
    std::unique_ptr<JudgedElsewhere> judged_elsewhere;  ///< null: its scoring reads none
};

/// The folder that data/fetch_benchmarks.py fills.
std::filesystem::path fetched_folder(const BenchmarkRow& row) {
    return std::filesystem::path("build/benchmarks") / row.folder;
}

/// Has the run's model answer and its judge judge. Collective.
ExitStatus evaluate_model(const CommandContext& context, const Arguments& arguments,
                          const BenchmarkRow& row) {
    return with_config(context, arguments.config, [&](const Config& config) {
        const evaluation::BenchmarkInputs inputs = comm::run_on_all(context.comm, [&] {
            evaluation::Benchmark benchmark = evaluation::load_benchmark(
                row,
                arguments.data.empty() ? fetched_folder(row)
                                       : std::filesystem::path(arguments.data),
                arguments.version);
            evaluation::keep_first(benchmark.items, config.evaluate.limit);
            const std::string file = benchmark.name;
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

}  // namespace

Command make_benchmark_command(CLI::App& evaluate, const BenchmarkRow& row) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* parser = evaluate.add_subcommand(std::string(row.name), std::string(row.summary));
    arguments->add_to(*parser);
    arguments->add_data_to(*parser);
    if (!row.versions.empty()) {
        arguments->version = row.versions.front();
        parser
            ->add_option("--version", arguments->version,
                         fmt::format("{}", fmt::join(row.versions, " or ")))
            ->capture_default_str();
    }
    arguments->judged_elsewhere = make_judged_elsewhere(row.scoring, *parser);
    return {parser, [arguments, &row](const CommandContext& context) {
                const JudgedElsewhere* elsewhere = arguments->judged_elsewhere.get();
                if (elsewhere == nullptr || !elsewhere->is_given())
                    return evaluate_model(context, *arguments, row);
                return print_result(context.comm, arguments->output, [&] {
                    return elsewhere->scores(context, arguments->data, fetched_folder(row));
                });
            }};
}

}  // namespace popalign::app
