#pragma once

#include "app/command/config_command.hpp"

#include <popalign/evaluation/benchmark.hpp>
#include <popalign/evaluation/benchmark_stage.hpp>

#include <CLI/CLI.hpp>

#include <filesystem>
#include <functional>
#include <string>

namespace popalign::app {

/// What the evaluations of a run have in common on the command line.
struct EvaluateArguments {
    ConfigArguments config;
    std::string model, output, data;

    void add_to(CLI::App& parser) {
        config.add_to(parser);
        parser.add_option("--model", model,
                          "a name under `models` or a path; default: the run's aligned model");
        parser.add_option("--output", output, "JSON file; default: in <run.directory>/evaluate");
    }
    void add_data_to(CLI::App& parser) {
        parser.add_option(
            "--data", data,
            "the benchmark's folder; default: where data/fetch_benchmarks.py puts it");
    }
    lm::ModelOptions policy(const Config& config_value) const {
        return model_or_path(
            config_value,
            model.empty() ? (std::filesystem::path(config_value.run.directory) / "model").native()
                          : model);
    }
    std::filesystem::path output_path(const Config& config_value, const std::string& name) const {
        return output.empty()
                   ? std::filesystem::path(config_value.run.directory) / "evaluate" / name
                   : std::filesystem::path(output);
    }
};

/// Loads a benchmark and runs it. Collective.
ExitStatus evaluate_benchmark(const CommandContext& context, const EvaluateArguments& arguments,
                              const std::function<evaluation::Benchmark()>& load);

}  // namespace popalign::app
