#pragma once

#include "app/command/config.hpp"

#include <popalign/base/run_directory.hpp>

#include <CLI/CLI.hpp>

#include <filesystem>
#include <string>

namespace popalign::app {

/// Command line of the evaluations of a run.
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
            model.empty() ? RunDirectory(config_value.run.directory).model().native() : model);
    }
    std::filesystem::path output_path(const Config& config_value, const std::string& name) const {
        return output.empty() ? RunDirectory(config_value.run.directory).evaluation(name)
                              : std::filesystem::path(output);
    }
};

}  // namespace popalign::app
