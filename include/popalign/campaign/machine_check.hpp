#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace popalign::campaign {

enum class Finding { ok, warning, problem, skipped };

/// One line of a diagnosis: the finding and, for a problem, advice.
struct MachineCheck {
    std::string name;
    Finding finding = Finding::ok;
    std::string found, advice;
};

/// Facts that a rank reports about itself; a text is empty where there is nothing to report.
struct RankFacts {
    std::string host;
    std::string device;        ///< identifier of its GPU on the host; empty: none
    std::int64_t cores = 1;    ///< cores that it may run on
    std::int64_t threads = 1;  ///< threads that it would use
    double clock = 0;          ///< system time [s] after a barrier of all ranks
    std::uint64_t available_memory = 0;

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& host& device& cores& threads& clock& available_memory;
    }
};

// Checks that conclude from reported facts alone and measure nothing.
MachineCheck check_devices(std::span<const RankFacts> ranks);
MachineCheck check_nccl(const std::string& compiled, const std::string& loaded);
MachineCheck check_clocks(std::span<const RankFacts> ranks);
MachineCheck check_nodes(std::span<const RankFacts> ranks);
/// Compares `ranks` with the number of tasks that the launcher says it started. `pmix`: the
/// launcher offered PMIx to this process.
MachineCheck check_launcher(int ranks, std::optional<int> tasks, bool pmix);

/// Returns a table for people.
std::string format_checks(std::span<const MachineCheck> checks);
/// Returns the checks as JSON.
std::string checks_json(std::span<const MachineCheck> checks);

}  // namespace popalign::campaign
