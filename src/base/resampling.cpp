#include <popalign/base/resampling.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace popalign {

double quantile(std::vector<double> values, double share) {
    if (values.empty())
        return std::numeric_limits<double>::quiet_NaN();
    std::ranges::sort(values);
    const double position = share * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(position);
    const double low = values[below], high = values[std::min(below + 1, values.size() - 1)];
    return low + (high - low) * (position - static_cast<double>(below));
}

std::vector<std::uint32_t> resample(std::size_t units, const RandomStream& stream,
                                    std::uint64_t round) {
    std::vector<std::uint32_t> counts(units, 0);
    for (std::size_t draw = 0; draw < units; ++draw) {
        const double position = stream.uniform(round * units + draw) * static_cast<double>(units);
        ++counts[std::min(static_cast<std::size_t>(position), units - 1)];
    }
    return counts;
}

Interval percentile_interval(std::vector<double> values) {
    std::erase_if(values, [](double value) { return std::isnan(value); });
    return {quantile(values, 0.025), quantile(values, 0.975)};
}

Interval bootstrap_interval(std::size_t units, int rounds, const RandomStream& stream,
                            const std::function<double(std::span<const std::uint32_t>)>& figure) {
    std::vector<double> figures;
    for (int round = 0; round < rounds; ++round)
        figures.push_back(figure(resample(units, stream, static_cast<std::uint64_t>(round))));
    return percentile_interval(std::move(figures));
}

Agreement agreement_of(std::span<const std::pair<int, int>> labels) {
    Agreement agreement;
    agreement.n = labels.size();
    if (labels.empty())
        return agreement;
    std::map<int, std::pair<double, double>> counts;
    double same = 0;
    for (const auto& [first, second] : labels) {
        ++counts[first].first;
        ++counts[second].second;
        same += first == second ? 1 : 0;
    }
    const auto n = static_cast<double>(labels.size());
    double by_chance = 0;
    for (const auto& [category, count] : counts)
        by_chance += count.first / n * (count.second / n);
    agreement.share = same / n;
    agreement.kappa = by_chance < 1 ? (agreement.share - by_chance) / (1 - by_chance) : 1;
    return agreement;
}

}  // namespace popalign
