#pragma once

#include <popalign/record/token.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace popalign::lm {

/// Forest of token segments, packed without padding. A token attends to itself, to the earlier
/// tokens of its segment and to all ancestors of its segment. The two answers of a pair are
/// children of their prompt, which is therefore computed once.
struct SegmentForest {
    struct Segment {
        std::int64_t begin = 0, end = 0;    ///< rows of `tokens`
        std::optional<std::size_t> parent;  ///< an earlier segment
        std::int64_t position = 0;          ///< of the first token in its sequence
    };

    std::vector<std::int64_t> tokens;
    std::vector<Segment> segments;

    /// Adds a segment and returns its index.
    std::size_t add(std::span<const TokenId> tokens, std::optional<std::size_t> parent = {});
};

}  // namespace popalign::lm
