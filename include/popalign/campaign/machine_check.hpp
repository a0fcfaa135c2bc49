#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace popalign::campaign {

enum class Finding { ok, warning, problem, skipped };

/// One line of a diagnosis: what was found and, if it is wrong, what to do.
struct MachineCheck {
    std::string name;
    Finding finding = Finding::ok;
    std::string found, advice;
};

/// Facts that a rank reports of itself; empty texts where there is nothing to report.
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

// Conclusions from facts alone.
MachineCheck check_devices(std::span<const RankFacts> ranks);
MachineCheck check_nccl(const std::string& compiled, const std::string& loaded);
MachineCheck check_clocks(std::span<const RankFacts> ranks);
MachineCheck check_nodes(std::span<const RankFacts> ranks);
/// `tasks`: what the launcher says it started; `pmix`: whether it offered PMIx to this process.
MachineCheck check_launcher(int ranks, std::optional<int> tasks, bool pmix);

/// As a table for people, and as JSON.
std::string format_checks(std::span<const MachineCheck> checks);
std::string checks_json(std::span<const MachineCheck> checks);

}  // namespace popalign::campaign
