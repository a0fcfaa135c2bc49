#pragma once

#include "lm/transformer/elementwise.hpp"

#include <popalign/lm/transformer/model_config.hpp>

namespace popalign::lm {

/// The angles of a forward pass' rows, and the rotation by them.
class Rotary {
  public:
    /// `positions` [rows] int64; angles are computed in float32 (float64 where `like` is), as HF
    /// does.
    Rotary(ElementwiseImpl arithmetic, const RotaryConfig& config, std::int64_t head_dim,
           const at::Tensor& positions, const at::Tensor& like);

    /// `heads` [rows, heads, head_dim]
    at::Tensor rotate(const at::Tensor& heads) const {
        return popalign::lm::rotate(arithmetic_, heads, cosine_, sine_);
    }

  private:
    ElementwiseImpl arithmetic_;
    at::Tensor cosine_, sine_;  // [rows, 1, head_dim / 2]
};

/// Angle of each pair of dimensions from one position to the next [rad], [head_dim / 2].
at::Tensor rotary_frequencies(const RotaryConfig& config, std::int64_t head_dim,
                              at::ScalarType dtype);

}  // namespace popalign::lm
