#include <popalign/base/random.hpp>
#include <popalign/comm/schedule_simulation.hpp>
#include <popalign/comm/work_schedule.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace popalign::comm {
namespace {

constexpr double never = std::numeric_limits<double>::infinity();

/// Units of three groups whose real work is nothing like what is expected.
std::vector<SimulatedUnit> heavy_tailed(std::size_t count) {
    const RandomStream stream(0, "work", "test");
    std::vector<SimulatedUnit> units;
    for (std::size_t i = 0; i < count; ++i) {
        const auto group = static_cast<std::uint32_t>(i % 3);
        units.push_back({{i, group, 100.0 * (group + 1) + static_cast<double>(i % 7)},
                         std::min(1 / (stream.uniform(i) + 1e-3), 60.0) * (group + 1)});
    }
    return units;
}

std::vector<WorkUnit> plain(const std::vector<SimulatedUnit>& units) {
    std::vector<WorkUnit> result;
    for (const SimulatedUnit& unit : units)
        result.push_back(unit.unit);
    return result;
}

TEST(WorkSchedule, HandsEveryUnitOutOnceWhateverTheSizes) {
    for (const std::size_t count : {0, 1, 2, 63, 64, 1000})
        for (const int workers : {1, 3, 500})
            for (const std::size_t most : {1, 7, 10000}) {
                const WorkSchedule schedule(plain(heavy_tailed(count)), workers, most);
                std::vector<int> seen(count, 0);
                for (std::uint64_t ticket = 0; ticket < schedule.chunks(); ++ticket) {
                    ASSERT_FALSE(schedule.chunk(ticket).empty());
                    ASSERT_LE(schedule.chunk(ticket).size(), most);
                    for (const WorkUnit& unit : schedule.chunk(ticket))
                        ++seen[unit.id];
                }
                EXPECT_EQ(std::ranges::count(seen, 1), std::ssize(seen));
                EXPECT_TRUE(schedule.chunk(schedule.chunks()).empty());
                EXPECT_TRUE(schedule.chunk(std::uint64_t{1} << 62).empty());
            }
}

TEST(WorkSchedule, LargestGroupsAndUnitsComeFirstAndGroupsStayTogether) {
    const WorkSchedule schedule(plain(heavy_tailed(300)), 4, 1);
    for (std::uint64_t ticket = 1; ticket < schedule.chunks(); ++ticket) {
        const WorkUnit &before = schedule.chunk(ticket - 1).front(),
                       &unit = schedule.chunk(ticket).front();
        EXPECT_GE(before.group, unit.group);
        if (before.group == unit.group) {
            EXPECT_GE(before.expected, unit.expected);
        }
    }
}

TEST(WorkSchedule, DoesNotDependOnTheOrderItIsGiven) {
    auto units = plain(heavy_tailed(100));
    const WorkSchedule schedule(units, 4, 16);
    std::ranges::reverse(units);
    const WorkSchedule other(units, 4, 16);
    ASSERT_EQ(schedule.chunks(), other.chunks());
    for (std::uint64_t ticket = 0; ticket < schedule.chunks(); ++ticket)
        EXPECT_TRUE(std::ranges::equal(schedule.chunk(ticket), other.chunk(ticket), {},
                                       &WorkUnit::id, &WorkUnit::id));
}

TEST(WorkSearch, StealsOnlyWhenItsOwnShardIsEmptyAndEndsWhenAllAre) {
    std::vector<std::uint8_t> empty(5, 0);
    std::vector<std::uint64_t> counters(5, 0);
    const auto schedule = std::make_shared<const WorkSchedule>(plain(heavy_tailed(10)), 1, 1);
    WorkSearch search(2, empty, 7, [&](int) { return schedule; });
    std::vector<int> from;
    while (const auto shard = search.next())
        if (!search.take(*shard, counters[static_cast<std::size_t>(*shard)]++).empty())
            from.push_back(*shard);
    ASSERT_EQ(from.size(), 50U);
    EXPECT_EQ(std::count(from.begin(), from.begin() + 10, 2), 10);
    EXPECT_EQ(std::ranges::count(empty, 1), 5);
    for (const std::uint64_t counter : counters)
        EXPECT_EQ(counter, 11U);
}

TEST(WorkSearch, HoldsFullBatchesFirstAndLittleAtTheEnd) {
    std::vector<std::uint8_t> empty(1, 0);
    const auto schedule = std::make_shared<const WorkSchedule>(plain(heavy_tailed(10'000)), 2, 8);
    WorkSearch search(0, empty, 0, [&](int) { return schedule; });
    EXPECT_EQ(search.holding(64, 0), 1U) << "nothing is known of the work yet";
    search.take(0, 0);
    EXPECT_EQ(search.holding(64, 0), 64U);
    search.take(0, schedule->chunks() - 1);
    EXPECT_EQ(search.holding(64, 0), 1U);
    EXPECT_EQ(search.holding(64, 8), 32U) << "smaller steps would be mostly overhead";
    EXPECT_EQ(search.holding(64, std::numeric_limits<double>::infinity()), 64U);
}

SimulatedMachine small_machine() {
    SimulatedMachine machine;
    machine.workers = 30;
    machine.workers_per_shard = 4;
    machine.most_units = 16;
    machine.slots = 4;
    machine.step_overhead = 2;
    machine.own_draw = 1e-3;
    machine.remote_draw = 1e-2;
    return machine;
}

void expect_each_once(const SimulatedRun& run) {
    EXPECT_EQ(std::ranges::count(run.handed_out, 1U), std::ssize(run.handed_out));
}

TEST(ScheduleSimulation, EachUnitIsHandedOutOnceWhoeverComesLateOrDies) {
    const auto units = heavy_tailed(5000);
    SimulatedMachine machine = small_machine();
    const auto whole = simulate_schedule(units, machine);
    expect_each_once(whole);
    EXPECT_EQ(std::ranges::count(whole.finished, 1), std::ssize(units));

    machine.starts = {0, 0.4 * whole.end, 0, never};  // the fourth shard's workers never come
    expect_each_once(simulate_schedule(units, machine));

    machine.failures = {0.3 * whole.end, never, 0.1 * whole.end};
    const auto hurt = simulate_schedule(units, machine);
    expect_each_once(hurt);
    const auto lost = std::ranges::count(hurt.finished, 0);
    EXPECT_GT(lost, 0);
    EXPECT_LE(lost, 2 * machine.workers_per_shard * static_cast<std::ptrdiff_t>(machine.most_units))
        << "only what dying workers had in hand";

    // A restart on other workers makes what is missing, and nothing else.
    std::vector<SimulatedUnit> rest;
    for (const SimulatedUnit& unit : units)
        if (hurt.finished[unit.unit.id] == 0)
            rest.push_back({{rest.size(), unit.unit.group, unit.unit.expected}, unit.work});
    SimulatedMachine other = small_machine();
    other.workers = 3;
    const auto again = simulate_schedule(rest, other);
    expect_each_once(again);
    EXPECT_EQ(std::ranges::count(again.finished, 1), lost);
}

TEST(ScheduleSimulation, TimeIsConserved) {
    const auto units = heavy_tailed(400);
    SimulatedMachine machine;
    machine.slots = 1;
    machine.step_overhead = 0;
    double sum = 0;
    for (const SimulatedUnit& unit : units)
        sum += unit.work;
    EXPECT_NEAR(simulate_schedule(units, machine).end, sum, 1e-6 * sum);
    EXPECT_NEAR(simulate_static_partition(units, machine).end, sum, 1e-6 * sum);
    EXPECT_NEAR(simulate_schedule(units, machine).busy_share, 1, 1e-9);
    machine.slots = 400;  // all side by side: the longest decides how many steps there are
    machine.step_overhead = 1e9;
    double longest = 0;
    for (const SimulatedUnit& unit : units)
        longest = std::max(longest, unit.work);
    machine.most_units = 400;
    EXPECT_NEAR(simulate_static_partition(units, machine).end / (1e9 * longest), 1, 1e-3);
}

TEST(ScheduleSimulation, KeepsManyWorkersBusyWhereAStaticPartitionDoesNot) {
    const auto units = heavy_tailed(40'000);
    SimulatedMachine machine;
    machine.workers = 40;
    machine.workers_per_shard = 8;
    const auto stealing = simulate_schedule(units, machine);
    const auto fixed = simulate_static_partition(units, machine);
    EXPECT_GT(stealing.busy_share, 0.98);
    EXPECT_LT(fixed.busy_share, stealing.busy_share - 0.05);
    EXPECT_LT(stealing.end, fixed.end);
}

TEST(ScheduleSimulation, LosesNothingToAStaticPartitionWhereStepsCostMuchThemselves) {
    const auto units = heavy_tailed(4'000);
    SimulatedMachine machine;
    machine.workers = 40;
    machine.workers_per_shard = 8;
    machine.slots = machine.most_units = 64;
    for (const double overhead : {2.0, 8.0, 64.0, 256.0}) {
        machine.step_overhead = overhead;
        EXPECT_LT(simulate_schedule(units, machine).end,
                  1.02 * simulate_static_partition(units, machine).end)
            << overhead;
    }
}

}  // namespace
}  // namespace popalign::comm
