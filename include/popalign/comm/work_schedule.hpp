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

/// Something that one worker does alone.
struct WorkUnit {
    std::uint64_t id = 0;     ///< the caller's name for it
    std::uint32_t group = 0;  ///< units of a group are cheaper done one after another
    double expected = 0;      ///< how much work it may be, in whatever unit all are in
};

/// One shard's units in the order in which they are handed out, cut into chunks: group by group,
/// the largest expected work first, in the groups too. A chunk is at most a share of 1 in
/// 8 x workers of what is left (after Hummel et al. 1992, "Factoring"), so that all workers end at
/// about the same time whatever the units really take. A pure function of its arguments: whoever
/// makes it, makes the same.
class WorkSchedule {
  public:
    WorkSchedule(std::vector<WorkUnit> units, int workers, std::size_t most_units);

    std::size_t chunks() const noexcept { return ends_.size(); }
    /// The units of the ticket's chunk; none for a ticket behind the last.
    std::span<const WorkUnit> chunk(std::uint64_t ticket) const noexcept;
    /// Units behind the ticket's chunk, for each worker.
    double left(std::uint64_t ticket) const noexcept;

  private:
    std::vector<WorkUnit> units_;
    double workers_;
    std::vector<std::size_t> ends_;
};

/// One worker's way through the shards: its own until that is empty, then others at random. Knows
/// nothing of how tickets are drawn, so that a simulation can run it. Workers that share `empty`
/// (a byte a shard, zero at first) share what they learn; it may be read and written at once.
class WorkSearch {
  public:
    using ScheduleOf = std::function<std::shared_ptr<const WorkSchedule>(int shard)>;

    WorkSearch(int own_shard, std::span<std::uint8_t> empty, std::uint64_t seed,
               ScheduleOf schedule_of);

    /// The shard to draw a ticket from next; nothing if all are empty.
    std::optional<int> next();
    /// What the ticket stands for; nothing if it shows that the shard is empty. Valid until the
    /// next call.
    std::span<const WorkUnit> take(int shard, std::uint64_t ticket);
    /// How many units to have under way of those that this worker could run side by side: as many
    /// as make steps efficient, where a step costs `step_overhead` beside 1 for each of its units,
    /// but near the end no more than others will have left to do.
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
