#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace popalign::lm {

using Tensors = std::vector<at::Tensor>;

/// Gradients of the inputs from those of the outputs; undefined ones are zero, both ways.
using Backward = std::function<Tensors(const Tensors& gradients)>;

/// Returns whether results computed from `inputs` now need gradients.
bool wants_gradient(at::TensorList inputs);

/// Registers `outputs`, computed without libtorch's own derivatives, as functions of `inputs`.
/// `backward` must not hold `outputs` themselves (detached ones are fine); it is released after its
/// call.
void set_backward(at::TensorList outputs, at::TensorList inputs, Backward backward);

/// Adds to the gradient of a leaf as it is made, so that no tensor of its size comes and goes:
/// returns the `.grad` that is to be added to, or nothing if there is none.
at::Tensor gradient_in_place(const at::Tensor& parameter);

/// `body(x)`, of which only `x` is kept: computed again when its gradient is asked for (Chen et al.
/// 2016, "Training Deep Nets with Sublinear Memory Cost").
at::Tensor recompute_later(const at::Tensor& x,
                           const std::function<at::Tensor(const at::Tensor&)>& body);

/// `x` itself; `when_done` is called when the backward pass has come down to it.
at::Tensor watch_backward(const at::Tensor& x, std::function<void()> when_done);

}  // namespace popalign::lm
