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
    std::filesystem::path directory;  ///< gets a scratch folder, removed at the end
    std::map<std::string, lm::ModelOptions> models;
    std::string device = "auto";
};

/// Checks the launcher, ranks and nodes, devices, NCCL, arithmetic, clocks, memory, limits and
/// model files, and the directory's file system: visible to all nodes, locks, and parallel HDF5 by
/// a real write and read from all ranks. The result is the same on all ranks. Throws only if the
/// ranks can no longer agree. Collective.
std::vector<MachineCheck> diagnose_machine(const comm::Communicator& comm,
                                           const DiagnosisInputs& inputs);

}  // namespace popalign::campaign
