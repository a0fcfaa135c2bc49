#pragma once

#include <popalign/record/token.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace popalign::lm {

/// Token segments that continue each other, packed without padding: a forest in which every token
/// attends to itself, to those before it in its segment and to all of its segment's ancestors. The
/// two sides of a pair are two children of their prompt, which is so computed once.
struct SegmentForest {
    struct Segment {
        std::int64_t begin = 0, end = 0;    ///< rows of `tokens`
        std::optional<std::size_t> parent;  ///< an earlier segment
        std::int64_t position = 0;          ///< of the first token in its sequence
    };

    std::vector<std::int64_t> tokens;
    std::vector<Segment> segments;

    /// Returns the new segment's index.
    std::size_t add(std::span<const TokenId> tokens, std::optional<std::size_t> parent = {});
};

}  // namespace popalign::lm
