#include <popalign/comm/communicator.hpp>
#include <popalign/comm/schedule_simulation.hpp>

#include <algorithm>
#include <functional>
#include <limits>
#include <queue>
#include <utility>

namespace popalign {
namespace {

constexpr double busy_until = 0.98;

struct Interval {
    double begin, end;
};

/// Runs the units in `slots` slots from `start` on; `done(index, time)` for each. Returns the end.
template <class Done>
double run_units(std::span<const double> work, const SimulatedMachine& machine, double start,
                 Done&& done) {
    using Active = std::pair<double, std::size_t>;  // steps at which it ends, unit
    std::priority_queue<Active, std::vector<Active>, std::greater<>> active;
    double steps = 0, time = start;
    for (std::size_t next = 0; next < work.size() || !active.empty();) {
        while (next < work.size() && active.size() < std::max<std::size_t>(machine.slots, 1)) {
            active.emplace(steps + work[next], next);
            ++next;
        }
        const auto [end, unit] = active.top();
        time += (end - steps) * (machine.step_overhead + static_cast<double>(active.size()));
        steps = end;
        active.pop();
        done(unit, time);
    }
    return time;
}

double entry(const std::vector<double>& values, int shard, double otherwise) {
    const auto at = static_cast<std::size_t>(shard);
    return at < values.size() ? values[at] : otherwise;
}

double start_of(const SimulatedMachine& machine, int shard) {
    return entry(machine.starts, shard, 0);
}
double failure_of(const SimulatedMachine& machine, int shard) {
    return entry(machine.failures, shard, std::numeric_limits<double>::infinity());
}

class Simulation {
  public:
    Simulation(std::span<const SimulatedUnit> units, const SimulatedMachine& machine)
        : units_(units),
          machine_(machine),
          shards_((machine.workers + machine.workers_per_shard - 1) / machine.workers_per_shard),
          counters_(static_cast<std::size_t>(shards_)),
          schedules_(static_cast<std::size_t>(shards_)),
          empty_(static_cast<std::size_t>(shards_),
                 std::vector<std::uint8_t>(static_cast<std::size_t>(shards_))) {
        run_.handed_out.resize(units.size());
        run_.finished.resize(units.size());
    }

    SimulatedRun distribute() {
        std::vector<WorkSearch> searches;
        using Event = std::pair<double, int>;
        std::priority_queue<Event, std::vector<Event>, std::greater<>> events;
        for (int worker = 0; worker < machine_.workers; ++worker) {
            const int shard = shard_of(worker);
            searches.emplace_back(shard, empty_[static_cast<std::size_t>(shard)], worker,
                                  [this](int of) { return schedule(of); });
            events.emplace(start_of(machine_, shard), worker);
        }
        while (!events.empty()) {
            const auto [time, worker] = events.top();
            events.pop();
            if (time < failure_of(machine_, shard_of(worker)))
                if (const auto next =
                        step(worker, time, searches[static_cast<std::size_t>(worker)]))
                    events.emplace(*next, worker);
        }
        return summarize();
    }

    SimulatedRun partition_statically() {
        for (int worker = 0; worker < machine_.workers; ++worker) {
            const Range mine = partition(units_.size(), worker, machine_.workers);
            std::vector<WorkUnit> chunk;
            for (std::size_t i = mine.begin; i < mine.end; ++i)
                chunk.push_back(units_[i].unit);
            work(worker, start_of(machine_, shard_of(worker)), chunk);
        }
        return summarize();
    }

  private:
    int shard_of(int worker) const { return worker / machine_.workers_per_shard; }
    int workers_of(int shard) const {
        return std::min(machine_.workers_per_shard,
                        machine_.workers - shard * machine_.workers_per_shard);
    }

    std::shared_ptr<const WorkSchedule> schedule(int shard) {
        auto& made = schedules_[static_cast<std::size_t>(shard)];
        if (made == nullptr) {
            std::vector<WorkUnit> units;
            const Range share = partition(units_.size(), shard, shards_);
            for (std::size_t i = share.begin; i < share.end; ++i)
                units.push_back(units_[i].unit);
            made = std::make_shared<const WorkSchedule>(std::move(units), workers_of(shard),
                                                        machine_.most_units);
        }
        return made;
    }

    /// One draw and, if it gives a chunk, its work; when the worker comes back.
    std::optional<double> step(int worker, double time, WorkSearch& search) {
        const auto shard = search.next();
        if (!shard)
            return std::nullopt;
        ++run_.draws;
        const bool own = *shard == shard_of(worker);
        time += own ? machine_.own_draw : machine_.remote_draw;
        const auto chunk = search.take(*shard, counters_[static_cast<std::size_t>(*shard)]++);
        if (chunk.empty())
            return time;
        run_.stolen_chunks += own ? 0 : 1;
        return work(worker, time, chunk);
    }

    double work(int worker, double time, std::span<const WorkUnit> chunk) {
        std::vector<double> works;
        for (const WorkUnit& unit : chunk) {
            ++run_.handed_out[unit.id];
            works.push_back(units_[unit.id].work);
        }
        const double failure = failure_of(machine_, shard_of(worker));
        const double end = run_units(works, machine_, time, [&](std::size_t index, double when) {
            run_.finished[chunk[index].id] |= when <= failure ? 1 : 0;
        });
        busy_.push_back({time, std::min(end, failure)});
        return end;
    }

    SimulatedRun summarize() {
        for (const Interval& interval : busy_)
            run_.end = std::max(run_.end, interval.end);
        const double until = busy_until * run_.end;
        double busy = 0, there = 0;
        for (const Interval& interval : busy_)
            busy += std::max(0.0, std::min(interval.end, until) - interval.begin);
        for (int worker = 0; worker < machine_.workers; ++worker) {
            const int shard = shard_of(worker);
            there += std::max(
                0.0, std::min(failure_of(machine_, shard), until) - start_of(machine_, shard));
        }
        run_.busy_share = there > 0 ? busy / there : 0;
        return std::move(run_);
    }

    std::span<const SimulatedUnit> units_;
    const SimulatedMachine& machine_;
    int shards_;
    std::vector<std::uint64_t> counters_;
    std::vector<std::shared_ptr<const WorkSchedule>> schedules_;
    std::vector<std::vector<std::uint8_t>> empty_;  // what the workers of a shard know
    std::vector<Interval> busy_;
    SimulatedRun run_;
};

}  // namespace

SimulatedRun simulate_schedule(std::span<const SimulatedUnit> units,
                               const SimulatedMachine& machine) {
    return Simulation(units, machine).distribute();
}

SimulatedRun simulate_static_partition(std::span<const SimulatedUnit> units,
                                       const SimulatedMachine& machine) {
    return Simulation(units, machine).partition_statically();
}

}  // namespace popalign
