#pragma once

#include <popalign/comm/communicator.hpp>
#include <popalign/lm/backends/model_options.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace popalign::campaign {

enum class Finding { ok, warning, problem, skipped };

/// One thing that was looked at: what is so, and what to do if it is wrong.
struct MachineCheck {
    std::string name;
    Finding finding = Finding::ok;
    std::string found, advice;
};

struct MachineCheckInputs {
    std::filesystem::path directory;  ///< a scratch folder is made in it, and removed
    std::map<std::string, lm::ModelOptions> models;
    std::string device = "auto";
};

/// What a rank says of itself; texts are empty where there is nothing to say.
struct RankFacts {
    std::string host;
    std::string device;        ///< what names its GPU on the host; empty: none
    std::int64_t cores = 1;    ///< that it may run on
    std::int64_t threads = 1;  ///< that it would use
    double clock = 0;          ///< system time [s] when all had met
    std::uint64_t available_memory = 0;

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& host& device& cores& threads& clock& available_memory;
    }
};

// What follows from facts alone.
MachineCheck check_devices(std::span<const RankFacts> ranks);
MachineCheck check_nccl(const std::string& compiled, const std::string& loaded);
MachineCheck check_clocks(std::span<const RankFacts> ranks);
MachineCheck check_nodes(std::span<const RankFacts> ranks);
/// `tasks`: what the launcher says it started; `pmix`: whether it offered PMIx to this process.
MachineCheck check_launcher(int ranks, std::optional<int> tasks, bool pmix);

/// Looks at the launcher, ranks and nodes, devices, NCCL, arithmetic, parallel HDF5 on the
/// directory's file system (a real write and read from all ranks), whether all nodes see it, its
/// locks, clocks, memory, limits and model files. The same on all ranks; throws only where ranks
/// cannot agree any more. Collective.
std::vector<MachineCheck> check_machine(const comm::Communicator& comm,
                                        const MachineCheckInputs& inputs);

/// As a table for people, and as JSON.
std::string format_checks(std::span<const MachineCheck> checks);
std::string checks_json(std::span<const MachineCheck> checks);

}  // namespace popalign::campaign
