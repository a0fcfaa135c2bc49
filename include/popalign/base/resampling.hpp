#pragma once

#include <popalign/base/random.hpp>
#include <popalign/base/statistics.hpp>

#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

namespace popalign {

/// The `share` quantile by linear interpolation (numpy's default). NaN for no values.
double quantile(std::vector<double> values, double share);

/// How often each of `units` was drawn in one resample of as many: round `round` of `stream`.
std::vector<std::uint32_t> resample(std::size_t units, const RandomStream& stream,
                                    std::uint64_t round);

/// The 95 % percentile interval (Efron 1979) of a figure over `rounds` resamples of `units`, given
/// as how often each was drawn. Rounds whose figure is NaN are left out.
Interval bootstrap_interval(std::size_t units, int rounds, const RandomStream& stream,
                            const std::function<double(std::span<const std::uint32_t>)>& figure);

/// The 2.5 % and 97.5 % quantiles of those values that are not NaN.
Interval percentile_interval(std::vector<double> values);

struct Agreement {
    double share = 0;  ///< of the items that both put into the same category
    double kappa = 0;  ///< Cohen's (1960): the share beyond chance; 1 if both always say the same
    std::uint64_t n = 0;
};

/// `labels` are two raters' categories, a pair an item.
Agreement agreement_of(std::span<const std::pair<int, int>> labels);

}  // namespace popalign
