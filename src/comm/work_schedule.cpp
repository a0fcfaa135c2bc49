#include <popalign/base/random.hpp>
#include <popalign/comm/work_schedule.hpp>

#include <algorithm>
#include <atomic>
#include <tuple>
#include <utility>

namespace popalign::comm {
namespace {

constexpr double chunks_of_a_share = 8, holdings_of_a_share = 16;
/// Steps with this many times their fixed cost in units spend four fifths of their time on units.
constexpr double efficient_step = 4;

double total_of(std::span<const WorkUnit> units) {
    double total = 0;
    for (const WorkUnit& unit : units)
        total += unit.expected;
    return total;
}

/// Groups by their mean, the largest first.
std::map<std::uint32_t, double> means(const std::vector<WorkUnit>& units) {
    std::map<std::uint32_t, std::pair<double, std::size_t>> sums;
    for (const WorkUnit& unit : units) {
        sums[unit.group].first += unit.expected;
        ++sums[unit.group].second;
    }
    std::map<std::uint32_t, double> result;
    for (const auto& [group, sum] : sums)
        result[group] = sum.first / static_cast<double>(sum.second);
    return result;
}

}  // namespace

WorkSchedule::WorkSchedule(std::vector<WorkUnit> units, int workers, std::size_t most_units)
    : units_(std::move(units)), workers_(workers) {
    const auto mean = means(units_);
    std::ranges::sort(units_, [&](const WorkUnit& a, const WorkUnit& b) {
        return std::tuple(-mean.at(a.group), a.group, -a.expected, a.id) <
               std::tuple(-mean.at(b.group), b.group, -b.expected, b.id);
    });
    double left = total_of(units_);
    for (std::size_t next = 0; next < units_.size(); ends_.push_back(next)) {
        const double share = left / (chunks_of_a_share * workers);
        double taken = 0;
        const std::size_t most =
            std::min(units_.size(), next + std::max<std::size_t>(most_units, 1));
        do
            taken += units_[next++].expected;
        while (next < most && taken + units_[next].expected <= share);
        left -= taken;
    }
}

std::span<const WorkUnit> WorkSchedule::chunk(std::uint64_t ticket) const noexcept {
    if (ticket >= ends_.size())
        return {};
    const std::size_t begin = ticket == 0 ? 0 : ends_[ticket - 1];
    return std::span(units_).subspan(begin, ends_[ticket] - begin);
}

double WorkSchedule::left(std::uint64_t ticket) const noexcept {
    return ticket < ends_.size() ? static_cast<double>(units_.size() - ends_[ticket]) / workers_
                                 : 0;
}

WorkSearch::WorkSearch(int own_shard, std::span<std::uint8_t> empty, std::uint64_t seed,
                       ScheduleOf schedule_of)
    : own_(own_shard), empty_(empty), seed_(seed), schedule_of_(std::move(schedule_of)) {}

bool WorkSearch::is_empty(int shard) const {
    return std::atomic_ref(empty_[static_cast<std::size_t>(shard)])
               .load(std::memory_order_relaxed) != 0;
}

std::optional<int> WorkSearch::next() {
    if (!is_empty(own_))
        return own_;
    const auto shards = static_cast<int>(empty_.size());
    const auto random =
        philox4x32({static_cast<std::uint32_t>(draws_++), 0, 0, 0},
                   {static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32)});
    const auto first = static_cast<int>(random[0] % static_cast<std::uint32_t>(shards));
    for (int step = 0; step < shards; ++step)
        if (const int shard = (first + step) % shards; !is_empty(shard))
            return shard;
    return std::nullopt;
}

std::span<const WorkUnit> WorkSearch::take(int shard, std::uint64_t ticket) {
    auto& schedule = schedules_[shard];
    if (schedule == nullptr)
        schedule = schedule_of_(shard);
    const auto chunk = schedule->chunk(ticket);
    if (chunk.empty()) {
        std::atomic_ref(empty_[static_cast<std::size_t>(shard)])
            .store(1, std::memory_order_relaxed);
        schedules_.erase(shard);
    } else {
        left_ = schedule->left(ticket);
    }
    return chunk;
}

std::size_t WorkSearch::holding(std::size_t slots, double step_overhead) const noexcept {
    const double wanted = left_ / holdings_of_a_share + efficient_step * step_overhead;
    return wanted >= static_cast<double>(slots)
               ? slots
               : std::max<std::size_t>(1, static_cast<std::size_t>(wanted));
}

}  // namespace popalign::comm
