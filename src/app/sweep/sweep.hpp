#pragma once

#include "app/command/command.hpp"
#include "app/sweep/sweep_config.hpp"

#include <string>
#include <vector>

namespace popalign::app {

/// Runs one part on all ranks, unless it is done already. An error that all ranks agree on is
/// written to the part's status as `failed`, and does not affect other parts. Collective.
ExitStatus run_unit(const CommandContext& context, const Sweep& sweep,
                    const campaign::SweepUnit& unit);

/// Runs all parts in order; skips parts that depend on a failed one. Collective.
ExitStatus run_sweep(const CommandContext& context, const Sweep& sweep);

struct SubmitOptions {
    std::string machine;                      ///< of slurm/machines; empty: none
    std::vector<std::string> sbatch_options;  ///< nodes, tasks, time, account
};

/// Writes the jobs' lists into <directory>/slurm and submits them by submit_sweep.sh, whose output
/// goes to stdout. Call on one rank. Throws Error if it fails.
void submit_sweep(const Sweep& sweep, const SubmitOptions& options);

}  // namespace popalign::app
