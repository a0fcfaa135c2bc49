#pragma once

#include "app/sweep/sweep_config.hpp"

#include <string>
#include <vector>

namespace popalign::app {

struct SubmitOptions {
    std::string machine;                      ///< of slurm/machines; empty: none
    std::vector<std::string> sbatch_options;  ///< nodes, tasks, time, account
};

/// Writes the jobs' lists into <directory>/slurm and has submit_sweep.sh submit them; its output
/// goes to stdout. On one rank. Throws Error if it fails.
void submit_sweep(const Sweep& sweep, const SubmitOptions& options);

}  // namespace popalign::app
