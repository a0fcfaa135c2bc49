#pragma once

#include <popalign/comm/work_schedule.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace popalign::comm {

/// A unit whose real work is known, which the schedule is not told.
struct SimulatedUnit {
    WorkUnit unit;
    double work = 0;
};

/// A machine on which time is a number. A worker runs up to `slots` units of a chunk at once; a
/// step of it takes `step_overhead` and 1 for each unit that is under way, and each of these comes
/// nearer to its end by 1.
struct SimulatedMachine {
    int workers = 1, workers_per_shard = 1;
    std::size_t most_units = 512;  ///< of a chunk
    std::size_t slots = 64;
    double step_overhead = 0;
    double own_draw = 0, remote_draw = 0;  ///< time that a ticket takes
    /// When each shard's workers begin, and when they are lost with all that they have not
    /// finished; missing entries: at once, never.
    std::vector<double> starts, failures;
};

struct SimulatedRun {
    double end = 0;
    /// Of the time of the workers that were there, until 98 % of the whole was over.
    double busy_share = 0;
    /// By unit: how often it was handed out, and whether it was finished before its worker was
    /// lost.
    std::vector<std::uint32_t> handed_out;
    std::vector<std::uint8_t> finished;
    std::uint64_t draws = 0, stolen_chunks = 0;
};

/// WorkSchedule and WorkSearch at work: units are shared out to the shards in their order, as
/// instructions are. `units[i].unit.id` must be i.
SimulatedRun simulate_schedule(std::span<const SimulatedUnit> units,
                               const SimulatedMachine& machine);
/// What the same takes if each worker gets an equal number of units beforehand.
SimulatedRun simulate_static_partition(std::span<const SimulatedUnit> units,
                                       const SimulatedMachine& machine);

}  // namespace popalign::comm
