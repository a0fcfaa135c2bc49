#pragma once

#include <popalign/campaign/sweep_plan.hpp>

#include <filesystem>
#include <string>

namespace popalign::campaign {

enum class UnitState { missing, started, done, failed };

/// Contents of status.json in a unit's directory.
struct UnitStatus {
    UnitState state = UnitState::missing;
    std::string error;   ///< failed: the error message
    double seconds = 0;  ///< done: wall time [s]
    int ranks = 1;
};

UnitStatus read_status(const std::filesystem::path& unit_directory);
/// Writes status.json, and creates the directory if need be. Call on one rank.
void write_status(const std::filesystem::path& unit_directory, const UnitStatus& status);

/// Returns counts of states and a line for each failed unit, for people.
std::string describe_status(const SweepPlan& plan, const std::filesystem::path& directory);

/// Returns a CSV row per run: its settings, its figures and the base model's with intervals, and
/// its cost; a cell is empty until its stage is done. analysis/README.md lists the columns.
std::string collect_csv(const SweepPlan& plan, const std::filesystem::path& directory);

}  // namespace popalign::campaign
