#include <popalign/lm/transformer/segment_forest.hpp>

namespace popalign::lm {

std::size_t SegmentForest::add(std::span<const TokenId> segment_tokens,
                               std::optional<std::size_t> parent) {
    Segment segment;
    segment.begin = static_cast<std::int64_t>(tokens.size());
    segment.end = segment.begin + static_cast<std::int64_t>(segment_tokens.size());
    segment.parent = parent;
    if (parent) {
        const Segment& above = segments.at(*parent);
        segment.position = above.position + above.end - above.begin;
    }
    tokens.insert(tokens.end(), segment_tokens.begin(), segment_tokens.end());
    segments.push_back(segment);
    return segments.size() - 1;
}

}  // namespace popalign::lm
