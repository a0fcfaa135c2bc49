#include "lm/packed_linear.hpp"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

namespace popalign {
namespace {

/// These operators have no C++ header; libtorch's own compiler calls them by name as well.
at::Tensor call(const char* name, std::vector<c10::IValue> arguments) {
    const auto found = c10::Dispatcher::singleton().findSchemaOrThrow(name, "");
    found.callBoxed(&arguments);
    return arguments.at(0).toTensor();
}

}  // namespace

at::Tensor pack_weight(const at::Tensor& weight) {
    if (!weight.device().is_cpu() || weight.scalar_type() != at::kFloat ||
        !at::globalContext().hasMKLDNN())
        return weight;
    return call("mkldnn::_reorder_linear_weight", {weight.detach(), c10::IValue()});
}

at::Tensor apply_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
    if (!weight.is_mkldnn())
        return at::linear(x, weight, bias);
    return call("mkldnn::_linear_pointwise",
                {x.contiguous(), weight, bias.defined() ? c10::IValue(bias) : c10::IValue(), "none",
                 c10::List<std::optional<at::Scalar>>(), c10::IValue()});
}

}  // namespace popalign
