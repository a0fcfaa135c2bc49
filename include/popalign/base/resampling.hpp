#pragma once

#include <popalign/base/random.hpp>
#include <popalign/base/statistics.hpp>

#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

namespace popalign {

/// Returns the `share` quantile by linear interpolation (numpy's default). NaN if there are no
/// values.
double quantile(std::vector<double> values, double share);

/// Draws `units` of `units` items with replacement and returns how often each was drawn. The draws
/// are those of round `round` of `stream`.
std::vector<std::uint32_t> resample(std::size_t units, const RandomStream& stream,
                                    std::uint64_t round);

/// Returns the 95 % percentile bootstrap interval (Efron 1979) of `figure` over `rounds` resamples
/// of `units` items. `figure` receives how often each item was drawn. Rounds whose figure is NaN
/// are left out.
Interval bootstrap_interval(std::size_t units, int rounds, const RandomStream& stream,
                            const std::function<double(std::span<const std::uint32_t>)>& figure);

/// Returns the 2.5 % and 97.5 % quantiles of the values that are not NaN.
Interval percentile_interval(std::vector<double> values);

struct Agreement {
    double share = 0;  ///< share of the items that both raters put into the same category
    double kappa = 0;  ///< Cohen's (1960): the share beyond chance; 1 if both always say the same
    std::uint64_t n = 0;
};

/// Returns the agreement of two raters. `labels` has their two categories for each item.
Agreement agreement_of(std::span<const std::pair<int, int>> labels);

}  // namespace popalign
