#include "preference/pairs/training_cost.hpp"

#include <popalign/lm/transformer/architecture.hpp>

#include <algorithm>

namespace popalign::preference {
namespace {

/// Rows that the rows of a segment see, themselves included, under a window (0: none).
double seen(const lm::SegmentForest::Segment& segment, std::int64_t window) {
    double sum = 0;
    for (std::int64_t row = segment.begin; row < segment.end; ++row) {
        const std::int64_t position = segment.position + row - segment.begin + 1;
        sum += static_cast<double>(window > 0 ? std::min(position, window) : position);
    }
    return sum;
}

}  // namespace

TrainingCost& TrainingCost::operator+=(const TrainingCost& other) noexcept {
    projections += other.projections;
    attention += other.attention;
    head += other.head;
    rows += other.rows;
    return *this;
}

TrainingCost cost_of(const lm::ModelConfig& config, const PackedPairs& packed) {
    TrainingCost cost;
    cost.rows = static_cast<std::int64_t>(packed.forest.tokens.size());
    const auto query = static_cast<double>(config.query_size());
    for (const lm::WeightSpec& spec : lm::weight_specs(config))
        if (spec.is_matrix() && spec.layer)
            cost.projections +=
                2 * static_cast<double>(spec.elements()) * static_cast<double>(cost.rows);
    for (std::int64_t i = 0; i < config.num_hidden_layers; ++i)
        for (const auto& segment : packed.forest.segments)
            cost.attention += 4 * query * seen(segment, config.window(static_cast<std::size_t>(i)));
    cost.head = 2 * static_cast<double>(config.hidden_size * config.vocab_size) *
                static_cast<double>(packed.targets.size());
    return cost;
}

}  // namespace popalign::preference
