#pragma once

#include "app/command/config.hpp"

#include <popalign/base/run_directory.hpp>
#include <popalign/campaign/sweep_plan.hpp>

#include <filesystem>

namespace popalign::app {

/// A sweep file with the config that its runs share.
struct Sweep {
    const ConfigArguments& arguments;
    Config config;
    campaign::SweepPlan plan;

    std::filesystem::path directory(const campaign::SweepUnit& unit) const {
        return std::filesystem::path(config.run.directory) / unit.name;
    }
    std::filesystem::path pair_file(const std::string& data) const {
        return RunDirectory(std::filesystem::path(config.run.directory) / data).pairs();
    }
    /// Returns the config of a part, with its own directory and pair file.
    Config config_of(const campaign::SweepUnit& unit) const;
};

/// Reads the config and makes the plan. Every combination of factors is read too, so that a wrong
/// key or value is an error here. Throws UsageError.
Sweep load_sweep(const ConfigArguments& arguments);

/// Returns the parts, shared parts and an estimate of core-hours, as JSON.
std::string describe_sweep(const Sweep& sweep);

}  // namespace popalign::app
