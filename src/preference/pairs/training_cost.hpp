#pragma once

#include "preference/data/packed_pairs.hpp"

#include <popalign/lm/transformer/model_config.hpp>

#include <cstdint>

namespace popalign::preference {

/// Floating-point operations that forward and backward passes need at least: what is computed again
/// to save memory is not counted.
struct TrainingCost {
    double projections = 0;  ///< products with the layers' weights
    double attention = 0;    ///< of what each row sees, with itself
    double head = 0;         ///< of the rows that predict an answer's token
    std::int64_t rows = 0;   ///< packed tokens

    double forward() const noexcept { return projections + attention + head; }
    /// A backward pass is two forward passes.
    double training() const noexcept { return 3 * forward(); }
    TrainingCost& operator+=(const TrainingCost& other) noexcept;
};

/// Of a forward pass.
TrainingCost cost_of(const lm::ModelConfig& config, const PackedPairs& packed);

}  // namespace popalign::preference
