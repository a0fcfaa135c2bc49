#include "support/world.hpp"

#include <popalign/comm/collectives.hpp>
#include <popalign/comm/work_ledger.hpp>

#include <gtest/gtest.h>

#include <algorithm>

namespace popalign::comm {
namespace {

using test::world;

constexpr std::size_t units_each = 500;

std::shared_ptr<const WorkSchedule> schedule_of(const WorkLedger& ledger, int shard) {
    std::vector<WorkUnit> units;
    for (std::size_t i = 0; i < units_each; ++i)
        units.push_back(
            {static_cast<std::size_t>(shard) * units_each + i, 0, static_cast<double>(i)});
    return std::make_shared<const WorkSchedule>(std::move(units), ledger.workers(shard), 8);
}

/// Ranks in pairs, as if each pair were a node.
Communicator pairs() {
    return world().split(world().rank() / 2);
}

/// How often each unit was handed out, over all ranks.
std::vector<std::int32_t> hand_out(WorkLedger& ledger, std::size_t phase) {
    std::vector<std::int32_t> seen(static_cast<std::size_t>(ledger.shards()) * units_each, 0);
    auto search = ledger.search(phase, [&](int shard) { return schedule_of(ledger, shard); });
    for (auto chunk = next_chunk(ledger, phase, search); !chunk.empty();
         chunk = next_chunk(ledger, phase, search))
        for (const WorkUnit& unit : chunk)
            ++seen[unit.id];
    all_reduce(world(), std::span(seen), Reduction::sum);
    return seen;
}

TEST(WorkLedger, HandsEachUnitOutOnceInEachPhase) {
    WorkLedger ledger(world(), pairs(), 2);
    EXPECT_EQ(ledger.shards(), (world().size() + 1) / 2);
    EXPECT_EQ(ledger.own_shard(), world().rank() / 2);
    for (const std::size_t phase : {0, 1}) {
        const auto seen = hand_out(ledger, phase);
        EXPECT_EQ(std::ranges::count(seen, 1), std::ssize(seen));
    }
    ledger.finish();
}

TEST(WorkLedger, ARankThatTakesNothingLeavesItsShardToOthers) {
    WorkLedger ledger(world(), pairs());
    std::vector<std::int32_t> seen(static_cast<std::size_t>(ledger.shards()) * units_each, 0);
    auto search = ledger.search(0, [&](int shard) { return schedule_of(ledger, shard); });
    if (world().rank() == world().size() - 1)
        for (auto chunk = next_chunk(ledger, 0, search); !chunk.empty();
             chunk = next_chunk(ledger, 0, search))
            for (const WorkUnit& unit : chunk)
                ++seen[unit.id];
    barrier(world());
    all_reduce(world(), std::span(seen), Reduction::sum);
    EXPECT_EQ(std::ranges::count(seen, 1), std::ssize(seen));
    ledger.finish();
}

TEST(WorkLedger, NothingIsHandedOutAfterAStop) {
    WorkLedger ledger(world(), pairs(), 2);
    barrier(world());
    if (world().rank() == world().size() - 1)
        ledger.stop();
    barrier(world());
    for (const std::size_t phase : {0, 1})
        EXPECT_EQ(std::ranges::count(hand_out(ledger, phase), 0),
                  static_cast<std::ptrdiff_t>(units_each) * ledger.shards());
    ledger.finish();
}

TEST(WorkLedger, NeedsNoMpi) {
    WorkLedger ledger({}, {});
    EXPECT_EQ(ledger.draw(0), 0U);
    EXPECT_EQ(ledger.draw(0), 1U);
    ledger.progress();
    ledger.finish();
}

TEST(WorkLedger, MovesAndOutlivesARankThatLeavesEarly) {
    WorkLedger first(world(), world());
    WorkLedger second = std::move(first);
    EXPECT_LT(second.draw(0), static_cast<std::uint64_t>(world().size()));
    // Not finished: as when an error takes a rank out of the middle. Others must not wait for it.
}

}  // namespace
}  // namespace popalign::comm
