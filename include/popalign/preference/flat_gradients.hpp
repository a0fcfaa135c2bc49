#pragma once

#include <popalign/lm/causal_lm.hpp>

#include <vector>

namespace popalign {

/// The gradients of all parameters in one buffer, so that they are reduced, measured and cleared as
/// one; `backward()` adds into its views. The parameters require gradients as long as this lives.
class FlatGradients {
  public:
    explicit FlatGradients(std::vector<NamedParameter>& parameters);
    FlatGradients(const FlatGradients&) = delete;
    FlatGradients& operator=(const FlatGradients&) = delete;
    ~FlatGradients();

    at::Tensor& flat() noexcept { return flat_; }
    /// One a parameter, in their order.
    const std::vector<at::Tensor>& views() const noexcept { return views_; }
    void clear();
    /// The 2-norm over all parameters, as torch's clip_grad_norm_ computes it.
    double norm() const;

  private:
    std::vector<at::Tensor> parameters_, views_;
    at::Tensor flat_;
};

}  // namespace popalign
