#pragma once

#include <cstddef>

namespace popalign {

/// Half-open range of consecutive items.
struct Range {
    std::size_t begin = 0, end = 0;
    std::size_t size() const noexcept { return end - begin; }
};

/// Returns the share of `count` items that `part` of `parts` owns: consecutive items; sizes differ
/// by at most 1.
Range partition(std::size_t count, int part, int parts) noexcept;
/// Returns the part that owns `item`.
int owner(std::size_t count, std::size_t item, int parts) noexcept;

}  // namespace popalign
