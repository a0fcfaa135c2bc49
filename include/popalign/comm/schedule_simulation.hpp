#pragma once

#include <popalign/comm/work_schedule.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace popalign::comm {

/// A work unit with its real work, which the schedule does not know.
struct SimulatedUnit {
    WorkUnit unit;
    double work = 0;
};

/// A simulated machine. A worker runs up to `slots` units at once, in steps. A step takes
/// `step_overhead` plus 1 for each running unit, and does 1 of the work of each of them.
struct SimulatedMachine {
    int workers = 1, workers_per_shard = 1;
    std::size_t most_units = 512;  ///< in a chunk
    std::size_t slots = 64;
    double step_overhead = 0;
    double own_draw = 0, remote_draw = 0;  ///< time to draw a ticket
    /// Time at which the workers of each shard start, and time at which they fail and lose their
    /// unfinished units. Shards without an entry start at 0 and never fail.
    std::vector<double> starts, failures;
};

struct SimulatedRun {
    double end = 0;
    /// Share of time in which the workers present are busy, during the first 98 % of the run.
    double busy_share = 0;
    /// By unit: how often it was handed out, and whether it was finished before its worker failed.
    std::vector<std::uint32_t> handed_out;
    std::vector<std::uint8_t> finished;
    std::uint64_t draws = 0, stolen_chunks = 0;
};

/// Simulates WorkSchedule and WorkSearch. Units are divided among the shards in order, as
/// instructions are. `units[i].unit.id` must be i.
SimulatedRun simulate_schedule(std::span<const SimulatedUnit> units,
                               const SimulatedMachine& machine);
/// Simulates the same work with a static partition: each worker gets an equal number of units at
/// the start.
SimulatedRun simulate_static_partition(std::span<const SimulatedUnit> units,
                                       const SimulatedMachine& machine);

}  // namespace popalign::comm
