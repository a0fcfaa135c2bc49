#include "synthesis/coverage.hpp"

#include <popalign/base/random.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace popalign::synthesis {
namespace {

/// Returns `share` of `count`, at least 1 if `count` is not 0.
std::uint64_t part_of(double share, std::uint64_t count) {
    const double exact = share * static_cast<double>(count);
    // A share that came from a division gives its numerator again.
    return std::min(count, static_cast<std::uint64_t>(std::ceil(exact - 1e-6)));
}

std::array<std::uint64_t, 2> resolve(const Quota& quota,
                                     const std::array<std::uint64_t, 2>& available) {
    double share = quota.share;
    if (quota.count > 0 && available[0] > 0)
        share = std::min(1.0, static_cast<double>(quota.count) / static_cast<double>(available[0]));
    return {part_of(share, available[0]), part_of(share, available[1])};
}

}  // namespace

Coverage::Coverage(const GenerationPlan& plan, std::span<const Instruction> instructions,
                   std::uint64_t seed)
    : places_(instructions.size()), generations_(plan.generations.size(), Counts{0, 0}) {
    std::vector<std::uint64_t> keys;
    for (const Instruction& instruction : instructions)
        keys.push_back(RandomStream(seed, instruction.id, "quota").bits(0));
    std::vector<std::size_t> order(instructions.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, {}, [&](std::size_t i) { return keys[i]; });
    Counts available{0, 0};
    for (const std::size_t i : order) {
        const auto split = static_cast<std::uint8_t>(instructions[i].split);
        places_[i] = {available[split]++, split};
    }
    for (const PlannedPair& pair : plan.pairs) {
        pairs_.push_back(resolve(plan.quotas[pair.strategy], available));
        for (std::optional<std::size_t> generation : {pair.chosen, pair.rejected})
            for (; generation; generation = plan.generations[*generation].previous)
                for (std::size_t split : {0U, 1U})
                    generations_[*generation][split] =
                        std::max(generations_[*generation][split], pairs_.back()[split]);
    }
}

std::uint64_t Coverage::pairs() const {
    std::uint64_t count = 0;
    for (const Counts& counts : pairs_)
        count += sum(counts);
    return count;
}

std::uint64_t Coverage::generations() const {
    std::uint64_t count = 0;
    for (const Counts& counts : generations_)
        count += sum(counts);
    return count;
}

}  // namespace popalign::synthesis
