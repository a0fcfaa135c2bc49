#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace popalign::preference {

struct AdamWOptions {
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0.0;
};

/// Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2), as
/// torch.optim.AdamW.
class AdamW {
  public:
    AdamW(std::vector<at::Tensor> parameters, std::vector<at::Tensor> gradients,
          const AdamWOptions& options);

    /// Does one update with the current gradients.
    void step(double learning_rate);

    /// Optimizer state, one tensor per parameter in their order; storage is shared.
    std::vector<at::Tensor>& means() noexcept { return means_; }
    std::vector<at::Tensor>& squares() noexcept { return squares_; }
    std::int64_t steps() const noexcept { return steps_; }
    void set_steps(std::int64_t steps) noexcept { steps_ = steps; }

  private:
    std::vector<at::Tensor> parameters_, gradients_, means_, squares_;
    AdamWOptions options_;
    std::int64_t steps_ = 0;
};

/// Returns the factor on the peak rate at `step` (from 0) of `total`: linear from 0 over `warmup`
/// steps, then half a cosine to 0, as transformers' get_cosine_schedule_with_warmup. With a
/// warm-up, the first step's rate is 0.
double cosine_with_warmup(std::int64_t step, std::int64_t warmup, std::int64_t total) noexcept;

}  // namespace popalign::preference
