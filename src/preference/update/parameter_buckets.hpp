#pragma once

#include <popalign/lm/transformer/trainable_lm.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace popalign::preference {

/// Consecutive parameters whose gradients are summed over ranks together. Elements are counted
/// through all parameters, one after the other.
struct ParameterBucket {
    std::size_t first = 0, last = 0;       ///< parameters [first, last)
    std::int64_t begin = 0, elements = 0;  ///< elements, counted through all parameters
    std::int64_t part = 0;  ///< elements of each rank's part; the last parts reach beyond the end
    /// Layer after whose backward pass the gradients are complete; nothing: at the end of the pass.
    std::optional<std::int64_t> layer;
};

/// Divides parameters into buckets of about `elements` (a larger parameter stands alone), each
/// divided into `parts`.
std::vector<ParameterBucket> make_buckets(std::span<const lm::NamedParameter> parameters,
                                          std::int64_t elements, int parts);

}  // namespace popalign::preference
