#include "lm/transformer/prefix_forest.hpp"

#include <popalign/base/error.hpp>

#include <algorithm>
#include <numeric>

namespace popalign::lm {
namespace {

using Sequences = std::span<const std::span<const TokenId>>;

std::size_t common_prefix(std::span<const TokenId> a, std::span<const TokenId> b) {
    const auto limit = static_cast<std::ptrdiff_t>(std::min(a.size(), b.size()));
    return static_cast<std::size_t>(std::mismatch(a.begin(), a.begin() + limit, b.begin()).first -
                                    a.begin());
}

}  // namespace

std::int64_t PrefixForest::row(std::size_t index, std::int64_t position) const {
    for (std::size_t segment_index : paths[index]) {
        const auto& segment = forest.segments[segment_index];
        if (position < segment.position + segment.end - segment.begin)
            return segment.begin + position - segment.position;
    }
    throw Error("a position behind the end of its sequence was asked for");
}

std::vector<std::size_t> prefix_order(Sequences sequences) {
    std::vector<std::size_t> order(sequences.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return std::ranges::lexicographical_compare(sequences[a], sequences[b]);
    });
    return order;
}

PrefixForest share_prefixes(Sequences sequences) {
    PrefixForest result;
    result.paths.resize(sequences.size());
    // Sorted neighbours share prefixes; groups that agree on `depth` tokens are split recursively.
    struct Task {
        std::vector<std::size_t> members;
        std::size_t depth;
        std::optional<std::size_t> parent;
    };
    std::vector<Task> tasks{{prefix_order(sequences), 0, std::nullopt}};
    while (!tasks.empty()) {
        Task task = std::move(tasks.back());
        tasks.pop_back();
        for (std::size_t begin = 0; begin < task.members.size();) {
            const auto first = sequences[task.members[begin]];
            if (first.size() == task.depth) {  // it ends where its group's segment ends
                ++begin;
                continue;
            }
            std::size_t end = begin + 1, shared = first.size();
            while (end < task.members.size() &&
                   sequences[task.members[end]][task.depth] == first[task.depth]) {
                shared = std::min(shared, common_prefix(first, sequences[task.members[end]]));
                ++end;
            }
            const std::size_t segment =
                result.forest.add(first.subspan(task.depth, shared - task.depth), task.parent);
            std::vector<std::size_t> members(
                task.members.begin() + static_cast<std::ptrdiff_t>(begin),
                task.members.begin() + static_cast<std::ptrdiff_t>(end));
            for (std::size_t member : members)
                result.paths[member].push_back(segment);
            tasks.push_back({std::move(members), shared, segment});
            begin = end;
        }
    }
    return result;
}

std::vector<std::vector<std::size_t>> group_by_budget(Sequences sequences,
                                                      std::span<const std::size_t> order,
                                                      std::int64_t budget, std::size_t most) {
    std::vector<std::vector<std::size_t>> groups;
    std::int64_t used = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
        const auto sequence = sequences[order[i]];
        const auto whole = static_cast<std::int64_t>(sequence.size());
        const auto shared =
            i == 0 ? 0
                   : static_cast<std::int64_t>(common_prefix(sequence, sequences[order[i - 1]]));
        if (groups.empty() || groups.back().size() == most || used + whole - shared > budget) {
            groups.emplace_back();
            used = whole;
        } else {
            used += whole - shared;
        }
        groups.back().push_back(order[i]);
    }
    return groups;
}

}  // namespace popalign::lm
