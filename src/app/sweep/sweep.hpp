#pragma once

#include "app/command/command.hpp"
#include "app/sweep/sweep_config.hpp"

#include <string>
#include <vector>

namespace popalign::app {

/// Does one part, unless it is done already, on all ranks. An error that all ranks agree on is
/// written into the part's status and leaves `failed`; the others are not touched by it.
/// Collective.
ExitStatus run_unit(const CommandContext& context, const Sweep& sweep,
                    const campaign::SweepUnit& unit);

/// All parts in order; what builds on a part that failed is passed over. Collective.
ExitStatus run_sweep(const CommandContext& context, const Sweep& sweep);

struct SubmitOptions {
    std::string machine;                      ///< of slurm/machines; empty: none
    std::vector<std::string> sbatch_options;  ///< nodes, tasks, time, account
};

/// Writes the jobs' lists into <directory>/slurm and has submit_sweep.sh submit them; its output
/// goes to stdout. On one rank. Throws Error if it fails.
void submit_sweep(const Sweep& sweep, const SubmitOptions& options);

}  // namespace popalign::app
