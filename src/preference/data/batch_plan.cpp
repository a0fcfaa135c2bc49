#include "preference/data/batch_plan.hpp"

#include <popalign/base/random.hpp>
#include <popalign/base/range.hpp>

#include <algorithm>
#include <map>
#include <numeric>
#include <string>

namespace popalign::preference {

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

std::vector<std::size_t> order_by_instruction(std::span<const std::size_t> order,
                                              std::span<const PairHashes> hashes) {
    std::map<std::uint64_t, std::vector<std::size_t>> items;
    for (const std::size_t item : order)
        items[hashes[item].prompt].push_back(item);
    std::vector<std::size_t> grouped;
    for (const std::size_t item : order) {
        auto& group = items[hashes[item].prompt];
        grouped.insert(grouped.end(), group.begin(), group.end());
        group.clear();
    }
    return grouped;
}

std::uint64_t PackedSize::cost(const PairLengths& lengths, const PairHashes& hashes) const {
    const auto answer = [&](std::uint64_t hash, std::uint32_t length) {
        return answers_.contains({hashes.prompt, hash}) ? 0U : length;
    };
    return (prompts_.contains(hashes.prompt) ? 0U : lengths.prompt) +
           answer(hashes.chosen, lengths.chosen) +
           (hashes.rejected == hashes.chosen ? 0U : answer(hashes.rejected, lengths.rejected));
}

void PackedSize::add(const PairLengths& lengths, const PairHashes& hashes) {
    tokens_ += cost(lengths, hashes);
    prompts_.insert(hashes.prompt);
    answers_.insert({hashes.prompt, hashes.chosen});
    answers_.insert({hashes.prompt, hashes.rejected});
}

namespace {

/// Items that stay together.
struct Group {
    std::vector<std::size_t> items;
    PackedSize size;
};

std::vector<Group> groups_of(std::span<const std::size_t> batch,
                             std::span<const PairLengths> lengths,
                             std::span<const PairHashes> hashes, int ranks) {
    std::map<std::uint64_t, Group> by_prompt;
    for (const std::size_t item : batch) {
        Group& group = by_prompt[hashes[item].prompt];
        group.items.push_back(item);
        group.size.add(lengths[item], hashes[item]);
    }
    std::uint64_t total = 0;
    for (const auto& [prompt, group] : by_prompt)
        total += group.size.tokens();
    std::vector<Group> groups;
    for (const std::size_t item : batch) {
        Group& group = by_prompt[hashes[item].prompt];
        if (group.size.tokens() * static_cast<std::uint64_t>(ranks) > total) {
            groups.push_back({{item}, {}});
            groups.back().size.add(lengths[item], hashes[item]);
        } else if (group.items.front() == item) {
            groups.push_back(group);
        }
    }
    return groups;
}

/// Packed tokens of the first item and of those behind it that have its prompt.
std::uint64_t tokens_of_prompt(std::span<const PairLengths> lengths,
                               std::span<const PairHashes> hashes) {
    PackedSize size;
    for (std::size_t i = 0; i < hashes.size() && hashes[i].prompt == hashes[0].prompt; ++i)
        size.add(lengths[i], hashes[i]);
    return size.tokens();
}

}  // namespace

std::vector<std::size_t> share_of_batch(std::span<const std::size_t> batch,
                                        std::span<const PairLengths> lengths,
                                        std::span<const PairHashes> hashes, int rank, int ranks) {
    std::vector<Group> groups = groups_of(batch, lengths, hashes, ranks);
    std::stable_sort(groups.begin(), groups.end(), [](const Group& a, const Group& b) {
        return a.size.tokens() > b.size.tokens();
    });
    std::vector<std::uint64_t> load(static_cast<std::size_t>(ranks), 0);
    std::vector<std::size_t> mine;
    for (const Group& group : groups) {
        const auto least = std::min_element(load.begin(), load.end());
        *least += group.size.tokens();
        if (least - load.begin() == rank)
            mine.insert(mine.end(), group.items.begin(), group.items.end());
    }
    return mine;
}

std::vector<Range> micro_batches(std::span<const PairLengths> lengths,
                                 std::span<const PairHashes> hashes, std::int64_t budget) {
    const auto most = static_cast<std::uint64_t>(budget);
    std::vector<Range> ranges;
    PackedSize size;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
        bool fits = !ranges.empty() && size.tokens() + size.cost(lengths[i], hashes[i]) <= most;
        if (fits && hashes[i].prompt != hashes[i - 1].prompt) {
            const std::uint64_t group = tokens_of_prompt(lengths.subspan(i), hashes.subspan(i));
            fits = size.tokens() + group <= most || group > most;
        }
        if (!fits) {
            ranges.push_back({i, i});
            size = {};
        }
        size.add(lengths[i], hashes[i]);
        ranges.back().end = i + 1;
    }
    return ranges;
}

}  // namespace popalign::preference
