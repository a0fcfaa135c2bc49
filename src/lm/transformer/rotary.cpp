#include "lm/transformer/rotary.hpp"

#include <ATen/ATen.h>

#include <numbers>

namespace popalign::lm {
namespace {

/// Llama-3.1's scaling: long waves are stretched by `factor`, short ones are kept, and between the
/// two limits one goes over into the other.
at::Tensor llama3_scaled(const RotaryConfig& config, const at::Tensor& frequencies) {
    const auto context = static_cast<double>(config.original_max_position_embeddings);
    const at::Tensor waves_in_context = frequencies * (context / (2 * std::numbers::pi));
    const at::Tensor smooth = ((waves_in_context - config.low_freq_factor) /
                               (config.high_freq_factor - config.low_freq_factor))
                                  .clamp(0, 1);
    return (1 - smooth) * frequencies / config.factor + smooth * frequencies;
}

}  // namespace

at::Tensor rotary_frequencies(const RotaryConfig& config, std::int64_t head_dim,
                              at::ScalarType dtype) {
    const at::Tensor steps = at::arange(0, head_dim, 2, at::TensorOptions().dtype(dtype));
    const at::Tensor frequencies =
        at::pow(config.theta, steps / static_cast<double>(head_dim)).reciprocal();
    switch (config.scaling) {
        case RotaryConfig::Scaling::linear:
            return frequencies / config.factor;
        case RotaryConfig::Scaling::llama3:
            return llama3_scaled(config, frequencies);
        case RotaryConfig::Scaling::none:
            break;
    }
    return frequencies;
}

Rotary::Rotary(ElementwiseImpl arithmetic, const RotaryConfig& config, std::int64_t head_dim,
               const at::Tensor& positions, const at::Tensor& like)
    : arithmetic_(arithmetic) {
    const auto precise = like.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    const at::Tensor angles =
        at::outer(positions.to(precise), rotary_frequencies(config, head_dim, precise))
            .unsqueeze(1);
    cosine_ = angles.cos().to(like.options());
    sine_ = angles.sin().to(like.options());
}

}  // namespace popalign::lm
