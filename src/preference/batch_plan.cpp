#include <popalign/base/random.hpp>
#include <popalign/preference/batch_plan.hpp>

#include <algorithm>
#include <numeric>
#include <string>

namespace popalign {

std::vector<std::size_t> epoch_order(std::size_t count, std::uint64_t seed, std::int64_t epoch) {
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    const RandomStream stream(seed, "epoch " + std::to_string(epoch), "training order");
    for (std::size_t i = count; i > 1; --i) {
        const auto drawn = static_cast<std::size_t>(stream.uniform(i) * static_cast<double>(i));
        std::swap(order[i - 1], order[std::min(drawn, i - 1)]);
    }
    return order;
}

std::int64_t steps_per_epoch(std::size_t count, std::int64_t global_batch_size) {
    return (static_cast<std::int64_t>(count) + global_batch_size - 1) / global_batch_size;
}

std::vector<std::size_t> share_of_batch(std::span<const std::size_t> batch,
                                        std::span<const PairLengths> lengths, int rank, int ranks) {
    std::vector<std::size_t> longest_first(batch.begin(), batch.end());
    std::stable_sort(longest_first.begin(), longest_first.end(), [&](std::size_t a, std::size_t b) {
        return lengths[a].packed() > lengths[b].packed();
    });
    std::vector<std::uint64_t> load(static_cast<std::size_t>(ranks), 0);
    std::vector<std::size_t> mine;
    for (const std::size_t item : longest_first) {
        const auto least = std::min_element(load.begin(), load.end());
        *least += lengths[item].packed();
        if (least - load.begin() == rank)
            mine.push_back(item);
    }
    return mine;
}

std::vector<Range> micro_batches(std::span<const PairLengths> lengths, std::int64_t budget) {
    std::vector<Range> ranges;
    std::uint64_t used = 0;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
        const std::uint64_t tokens = lengths[i].packed();
        if (ranges.empty() || used + tokens > static_cast<std::uint64_t>(budget)) {
            ranges.push_back({i, i});
            used = 0;
        }
        used += tokens;
        ranges.back().end = i + 1;
    }
    return ranges;
}

}  // namespace popalign
