#include <popalign/base/error.hpp>
#include <popalign/preference/flat_gradients.hpp>

#include <ATen/ATen.h>

#include <cmath>

namespace popalign {

FlatGradients::FlatGradients(std::vector<NamedParameter>& parameters) {
    std::int64_t count = 0;
    for (const NamedParameter& parameter : parameters)
        count += parameter.tensor.numel();
    if (parameters.empty())
        throw Error("a model without parameters cannot be trained");
    flat_ = at::zeros({count}, parameters.front().tensor.options().requires_grad(false));
    std::int64_t offset = 0;
    for (NamedParameter& parameter : parameters) {
        at::Tensor& tensor = parameter.tensor;
        views_.push_back(flat_.narrow(0, offset, tensor.numel()).view(tensor.sizes()));
        offset += tensor.numel();
        tensor.requires_grad_(true);
        tensor.mutable_grad() = views_.back();
        parameters_.push_back(tensor);
    }
}

FlatGradients::~FlatGradients() {
    for (at::Tensor& parameter : parameters_) {
        parameter.mutable_grad() = at::Tensor();
        parameter.requires_grad_(false);
    }
}

void FlatGradients::clear() {
    flat_.zero_();
}

double FlatGradients::norm() const {
    double squares = 0;
    for (const at::Tensor& view : views_)
        squares += std::pow(at::linalg_vector_norm(view).item<double>(), 2);
    return std::sqrt(squares);
}

}  // namespace popalign
