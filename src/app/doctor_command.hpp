#pragma once

#include <optional>

namespace popalign::app {

/// `doctor` where MPI cannot even start: tasks of srun without PMIx end within MPI_Init. Prints
/// what is wrong (by the first task) and gives the exit status; nothing if MPI may be started.
std::optional<int> doctor_before_mpi(int argc, char** argv);

}  // namespace popalign::app
