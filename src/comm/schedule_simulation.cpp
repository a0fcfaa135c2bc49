#include <popalign/base/range.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/comm/schedule_simulation.hpp>

#include <algorithm>
#include <deque>
#include <functional>
#include <limits>
#include <optional>
#include <queue>
#include <utility>

namespace popalign::comm {
namespace {

constexpr double busy_until = 0.98;

template <class T>
using Soonest = std::priority_queue<T, std::vector<T>, std::greater<>>;

/// The units of a worker. Units in slots advance together.
class Slots {
  public:
    explicit Slots(const SimulatedMachine& machine)
        : slots_(std::max<std::size_t>(machine.slots, 1)), step_overhead_(machine.step_overhead) {}

    std::size_t under_way() const { return active_.size() + waiting_.size(); }
    void add(std::size_t unit, double work) { waiting_.emplace_back(unit, work); }

    /// Returns the time until the next unit ends.
    double until_next() {
        for (; !waiting_.empty() && active_.size() < slots_; waiting_.pop_front())
            active_.emplace(steps_ + waiting_.front().second, waiting_.front().first);
        return (active_.top().first - steps_) *
               (step_overhead_ + static_cast<double>(active_.size()));
    }
    /// Advances to that end and returns the unit.
    std::size_t end_next() {
        const auto [steps, unit] = active_.top();
        active_.pop();
        steps_ = steps;
        return unit;
    }

  private:
    std::size_t slots_;
    double step_overhead_;
    Soonest<std::pair<double, std::size_t>> active_;      // steps at which it ends, unit
    std::deque<std::pair<std::size_t, double>> waiting_;  // unit, work
    double steps_ = 0;
};

double entry(const std::vector<double>& values, int shard, double otherwise) {
    const auto index = static_cast<std::size_t>(shard);
    return index < values.size() ? values[index] : otherwise;
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
        for (int number = 0; number < machine_.workers; ++number) {
            const int shard = number / machine_.workers_per_shard;
            workers_.push_back({shard, Slots(machine_),
                                WorkSearch(shard, empty_[static_cast<std::size_t>(shard)],
                                           static_cast<std::uint64_t>(number),
                                           [this](int of) { return schedule(of); })});
        }
        return run();
    }

    SimulatedRun partition_statically() {
        for (int number = 0; number < machine_.workers; ++number) {
            workers_.push_back({number / machine_.workers_per_shard, Slots(machine_), {}});
            const Range mine = partition(units_.size(), number, machine_.workers);
            for (std::size_t i = mine.begin; i < mine.end; ++i)
                give(workers_.back(), units_[i].unit);
        }
        return run();
    }

  private:
    struct Worker {
        int shard;
        Slots slots;
        std::optional<WorkSearch> search;  // null when all shards are empty
        bool is_there = false;
        double busy_until = 0;
    };

    std::shared_ptr<const WorkSchedule> schedule(int shard) {
        auto& result = schedules_[static_cast<std::size_t>(shard)];
        if (result == nullptr) {
            const int first = shard * machine_.workers_per_shard;
            const int count = std::min(machine_.workers_per_shard, machine_.workers - first);
            std::vector<WorkUnit> units;
            for (std::size_t i = partition(units_.size(), first, machine_.workers).begin;
                 i < partition(units_.size(), first + count - 1, machine_.workers).end; ++i)
                units.push_back(units_[i].unit);
            result =
                std::make_shared<const WorkSchedule>(std::move(units), count, machine_.most_units);
        }
        return result;
    }

    void give(Worker& worker, const WorkUnit& unit) {
        ++run_.handed_out[unit.id];
        worker.slots.add(unit.id, units_[unit.id].work);
    }

    /// Draws chunks as the synthesizer does. Returns the time that the draws take.
    double refill(Worker& worker) {
        double time = 0;
        while (worker.search &&
               worker.slots.under_way() <
                   worker.search->holding(machine_.slots, machine_.step_overhead)) {
            const auto shard = worker.search->next();
            if (!shard) {
                worker.search.reset();
                break;
            }
            ++run_.draws;
            const bool own = *shard == worker.shard;
            time += own ? machine_.own_draw : machine_.remote_draw;
            const auto chunk =
                worker.search->take(*shard, counters_[static_cast<std::size_t>(*shard)]++);
            run_.stolen_chunks += own || chunk.empty() ? 0 : 1;
            for (const WorkUnit& unit : chunk)
                give(worker, unit);
        }
        return time;
    }

    /// Handles the worker's event at `time`: it starts, or its next unit ends. Returns the time of
    /// its next event.
    std::optional<double> advance(Worker& worker, double time) {
        const double failure = failure_of(machine_, worker.shard);
        if (time >= failure) {
            worker.busy_until = worker.is_there ? failure : 0;
            return std::nullopt;
        }
        if (std::exchange(worker.is_there, true))
            run_.finished[worker.slots.end_next()] = 1;
        time += refill(worker);
        worker.busy_until = time;
        if (worker.slots.under_way() == 0)
            return std::nullopt;
        return time + worker.slots.until_next();
    }

    SimulatedRun run() {
        Soonest<std::pair<double, std::size_t>> events;
        for (std::size_t i = 0; i < workers_.size(); ++i)
            events.emplace(start_of(machine_, workers_[i].shard), i);
        while (!events.empty()) {
            const auto [time, number] = events.top();
            events.pop();
            if (const auto next = advance(workers_[number], time))
                events.emplace(*next, number);
        }
        summarize();
        return std::move(run_);
    }

    void summarize() {
        for (const Worker& worker : workers_)
            run_.end = std::max(run_.end, worker.busy_until);
        const double until = busy_until * run_.end;
        double busy = 0, present = 0;
        for (const Worker& worker : workers_) {
            const double start = start_of(machine_, worker.shard);
            const double last = std::min(failure_of(machine_, worker.shard), until);
            busy += std::max(0.0, std::min(worker.busy_until, until) - start);
            present += std::max(0.0, last - start);
        }
        run_.busy_share = present > 0 ? busy / present : 0;
    }

    std::span<const SimulatedUnit> units_;
    const SimulatedMachine& machine_;
    int shards_;
    std::vector<std::uint64_t> counters_;
    std::vector<std::shared_ptr<const WorkSchedule>> schedules_;
    std::vector<std::vector<std::uint8_t>> empty_;  // by shard: `empty` of WorkSearch
    std::deque<Worker> workers_;
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

}  // namespace popalign::comm
