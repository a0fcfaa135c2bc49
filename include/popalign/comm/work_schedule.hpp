#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace popalign::comm {

/// Smallest piece of work, done by one worker.
struct WorkUnit {
    std::uint64_t id = 0;     ///< the caller's number for it
    std::uint32_t group = 0;  ///< units of a group are cheaper when done one after another
    double expected = 0;      ///< expected work, in any unit that is the same for all
};

/// The units of one shard, in the order in which they are handed out, cut into chunks. Groups with
/// the largest mean expected work come first, and so do the largest units of a group. A chunk is at
/// most a share of 1 in 8 x workers of the remaining work (after Hummel et al. 1992, "Factoring"),
/// so that all workers end at about the same time even if units take longer than expected.
/// Deterministic: equal arguments give equal schedules on all ranks.
class WorkSchedule {
  public:
    WorkSchedule(std::vector<WorkUnit> units, int workers, std::size_t most_units);

    std::size_t chunks() const noexcept { return ends_.size(); }
    /// Returns the units of the ticket's chunk; none for a ticket after the last.
    std::span<const WorkUnit> chunk(std::uint64_t ticket) const noexcept;
    /// Returns the number of units after the ticket's chunk, divided by the number of workers.
    double left(std::uint64_t ticket) const noexcept;

  private:
    std::vector<WorkUnit> units_;
    double workers_;
    std::vector<std::size_t> ends_;
};

/// Order in which one worker visits the shards: its own until that is empty, then others at random.
/// It does not draw tickets itself, so that a simulation can use it. `empty` has one byte per
/// shard, zero at first, which marks empty shards. Workers may share it and access it concurrently.
class WorkSearch {
  public:
    using ScheduleOf = std::function<std::shared_ptr<const WorkSchedule>(int shard)>;

    WorkSearch(int own_shard, std::span<std::uint8_t> empty, std::uint64_t seed,
               ScheduleOf schedule_of);

    /// Returns the shard to draw the next ticket from; nothing if all are empty.
    std::optional<int> next();
    /// Returns the units of the ticket's chunk. Returns none, and marks the shard as empty, for a
    /// ticket after the last. Valid until the next call.
    std::span<const WorkUnit> take(int shard, std::uint64_t ticket);
    /// Returns how many units this worker should have under way, of the `slots` that it could run
    /// side by side: as many as make steps efficient, if a step costs `step_overhead` plus 1 per
    /// unit, but near the end no more than other workers will have left.
    std::size_t holding(std::size_t slots, double step_overhead) const noexcept;

  private:
    bool is_empty(int shard) const;

    int own_;
    std::span<std::uint8_t> empty_;
    std::uint64_t seed_, draws_ = 0;
    double left_ = 0;  // for each worker, where the last chunk came from
    ScheduleOf schedule_of_;
    std::map<int, std::shared_ptr<const WorkSchedule>> schedules_;
};

}  // namespace popalign::comm
