#include "preference/update/optimizer.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

namespace popalign::preference {

AdamW::AdamW(std::vector<at::Tensor> parameters, std::vector<at::Tensor> gradients,
             const AdamWOptions& options)
    : parameters_(std::move(parameters)), gradients_(std::move(gradients)), options_(options) {
    const c10::NoGradGuard no_gradients;
    for (const at::Tensor& parameter : parameters_) {
        means_.push_back(at::zeros_like(parameter));
        squares_.push_back(at::zeros_like(parameter));
    }
}

void AdamW::step(double learning_rate) {
    const c10::NoGradGuard no_gradients;
    ++steps_;
    const at::Tensor count =
        at::full({}, static_cast<double>(steps_), parameters_.front().options().dtype(at::kFloat));
    const std::vector<at::Tensor> counts(parameters_.size(), count);
    at::_fused_adamw_(parameters_, gradients_, means_, squares_, {}, counts, learning_rate,
                      options_.beta1, options_.beta2, options_.weight_decay, options_.epsilon,
                      /*amsgrad=*/false, /*maximize=*/false);
}

double cosine_with_warmup(std::int64_t step, std::int64_t warmup, std::int64_t total) noexcept {
    if (step < warmup)
        return static_cast<double>(step) / static_cast<double>(warmup);
    const double progress = static_cast<double>(step - warmup) /
                            static_cast<double>(std::max<std::int64_t>(1, total - warmup));
    return std::max(0.0, 0.5 * (1.0 + std::cos(std::numbers::pi * progress)));
}

}  // namespace popalign::preference
