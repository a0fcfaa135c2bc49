#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace popalign {

struct Interval {
    double lower = 0, upper = 0;
};

/// Returns the 95 % interval of a proportion by Wilson's score (Wilson 1927, "Probable inference,
/// the law of succession, and statistical inference"), which is sensible at 0 and at n successes
/// too. [0, 1] for n = 0.
inline Interval wilson_interval(double successes, std::uint64_t n) noexcept {
    if (n == 0)
        return {0, 1};
    constexpr double z = 1.959963984540054;  // the normal distribution's 97.5 % quantile
    const auto count = static_cast<double>(n);
    const double p = successes / count;
    const double scale = 1 / (1 + z * z / count);
    const double centre = scale * (p + z * z / (2 * count));
    const double half = scale * z * std::sqrt(p * (1 - p) / count + z * z / (4 * count * count));
    return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

}  // namespace popalign
