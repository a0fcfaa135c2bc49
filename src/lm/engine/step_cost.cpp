#include "lm/engine/step_cost.hpp"

#include <algorithm>
#include <limits>

namespace popalign::lm {

void StepCost::add(double sequences, double seconds) noexcept {
    constexpr double memory = 0.998;
    for (double* sum : {&weight_, &x_, &y_, &xx_, &xy_})
        *sum *= memory;
    weight_ += 1;
    x_ += sequences;
    y_ += seconds;
    xx_ += sequences * sequences;
    xy_ += sequences * seconds;
}

double StepCost::overhead() const noexcept {
    constexpr double least_variance = 1;  // of the number of sequences
    constexpr double never = std::numeric_limits<double>::infinity();
    if (weight_ < 2)
        return never;
    const double mean_x = x_ / weight_, mean_y = y_ / weight_;
    const double variance = xx_ / weight_ - mean_x * mean_x;
    const double each = (xy_ / weight_ - mean_x * mean_y) / variance;
    if (variance < least_variance || each <= 0)
        return never;
    return std::max(0.0, mean_y / each - mean_x);
}

}  // namespace popalign::lm
