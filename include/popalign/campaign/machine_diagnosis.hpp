#pragma once

#include <popalign/campaign/machine_check.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/lm/backends/model_options.hpp>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace popalign::campaign {

struct DiagnosisInputs {
    std::filesystem::path directory;  ///< a scratch folder is made in it, and removed
    std::map<std::string, lm::ModelOptions> models;
    std::string device = "auto";
};

/// Looks at the launcher, ranks and nodes, devices, NCCL, arithmetic, parallel HDF5 on the
/// directory's file system (a real write and read from all ranks), whether all nodes see it, its
/// locks, clocks, memory, limits and model files. The same on all ranks; throws only where ranks
/// cannot agree any more. Collective.
std::vector<MachineCheck> diagnose_machine(const comm::Communicator& comm,
                                           const DiagnosisInputs& inputs);

}  // namespace popalign::campaign
