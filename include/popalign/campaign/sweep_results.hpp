#pragma once

#include <popalign/campaign/sweep_plan.hpp>

#include <filesystem>
#include <string>

namespace popalign::campaign {

enum class UnitState { missing, started, done, failed };

/// What <unit's directory>/status.json says.
struct UnitStatus {
    UnitState state = UnitState::missing;
    std::string error;   ///< failed: why
    double seconds = 0;  ///< done: what it took
    int ranks = 1;
};

UnitStatus read_status(const std::filesystem::path& unit_directory);
/// Made with its directory. On one rank.
void write_status(const std::filesystem::path& unit_directory, const UnitStatus& status);

/// Counts of states, and a line for each part that failed, for people.
std::string describe_status(const SweepPlan& plan, const std::filesystem::path& directory);

/// A row a run, with what tells it apart, its figures with their intervals, those of the base
/// model, and its cost; empty where a run has not got so far. analysis/README.md lists the columns.
std::string collect_csv(const SweepPlan& plan, const std::filesystem::path& directory);

}  // namespace popalign::campaign
