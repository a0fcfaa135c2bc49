#pragma once

#include <cstddef>
#include <functional>
#include <limits>
#include <vector>

namespace popalign::lm {

/// What whoever answers has in hand when it could take more.
struct Occupancy {
    std::size_t under_way = 0;  ///< given to it and not finished
    std::size_t slots = 0;      ///< how many it can have under way side by side
    /// What a step costs beside its sequences, in sequences; infinite where that is not known, or
    /// where a step costs the same however many there are.
    double step_overhead = std::numeric_limits<double>::infinity();
};

/// Gives further ones, which are numbered on from those given before; none: not now. Whoever
/// answers is done when nothing is under way and this gives none.
template <class T>
using More = std::function<std::vector<T>(const Occupancy&)>;

}  // namespace popalign::lm
