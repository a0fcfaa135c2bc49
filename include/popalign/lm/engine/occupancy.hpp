#pragma once

#include <cstddef>
#include <functional>
#include <limits>
#include <vector>

namespace popalign::lm {

/// Load of a model runner when it asks for more requests.
struct Occupancy {
    std::size_t under_way = 0;  ///< requests that it has and has not finished
    std::size_t slots = 0;      ///< requests that it can have under way at once
    /// Fixed cost of a decoding step, in units of what a sequence adds to it. Infinite where that
    /// is not known, or where a step costs the same for any number of sequences.
    double step_overhead = std::numeric_limits<double>::infinity();
};

/// Gives a runner further requests, or none for now. Their numbers go on from those given before.
/// The runner is done when nothing is under way and it gets none.
template <class T>
using RequestSource = std::function<std::vector<T>(const Occupancy&)>;

}  // namespace popalign::lm
