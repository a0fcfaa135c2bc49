#pragma once

#include <popalign/lm/transformer/model_config.hpp>
#include <popalign/preference/options/train_options.hpp>

#include <c10/core/ScalarType.h>

#include <cstdint>

namespace popalign::preference {

/// Returns the number of trained parameters, of the model or of its adapters.
std::int64_t trained_parameters(const lm::ModelConfig& config, const TrainOptions& options);

/// Memory of one rank [byte].
struct TrainingMemory {
    double program = 0;  ///< before a model is loaded
    double weights = 0;  ///< in the type of the computation
    double masters = 0;  ///< float32 copies of weights in another type
    double gradients = 0;
    double optimizer = 0;    ///< both moments
    double activations = 0;  ///< kept by a forward pass for the backward pass
    double workspace = 0;    ///< logits of a block, gradients in the backward pass
    double allocator = 0;    ///< fragmentation between `activations` and `workspace`
    double buckets = 0;      ///< being summed between ranks

    double total() const noexcept {
        return program + weights + masters + gradients + optimizer + activations + workspace +
               allocator + buckets;
    }
};

/// Computes the parts that do not depend on the machine.
TrainingMemory training_memory(const lm::ModelConfig& config, at::ScalarType dtype,
                               const TrainOptions& options, int ranks,
                               std::int64_t micro_batch_tokens);

/// Returns the most tokens of a pass with which a rank stays within `bytes`; 0: none.
std::int64_t largest_micro_batch(const lm::ModelConfig& config, at::ScalarType dtype,
                                 const TrainOptions& options, int ranks, double program,
                                 double bytes);

}  // namespace popalign::preference
