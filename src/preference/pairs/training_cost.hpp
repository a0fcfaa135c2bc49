#pragma once

#include "preference/data/packed_pairs.hpp"

#include <popalign/lm/transformer/model_config.hpp>

#include <cstdint>

namespace popalign::preference {

/// Least floating-point operations of forward and backward passes [FLOP]; recomputation to save
/// memory is not counted.
struct TrainingCost {
    double projections = 0;  ///< products with the layers' weights
    double attention = 0;    ///< attention over the rows that each row sees, itself included
    double head = 0;         ///< output head, for rows that predict an answer's token
    std::int64_t rows = 0;   ///< packed tokens

    double forward() const noexcept { return projections + attention + head; }
    /// Counts a backward pass as two forward passes.
    double training() const noexcept { return 3 * forward(); }
    TrainingCost& operator+=(const TrainingCost& other) noexcept;
};

/// Returns the cost of a forward pass.
TrainingCost cost_of(const lm::ModelConfig& config, const PackedPairs& packed);

}  // namespace popalign::preference
