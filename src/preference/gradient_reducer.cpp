#include <popalign/base/error.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/device_group.hpp>
#include <popalign/preference/gradient_reducer.hpp>

#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>

#include <cmath>

namespace popalign {
namespace {

class MpiReducer final : public GradientReducer {
  public:
    explicit MpiReducer(const Communicator& comm) : comm_(comm) {}

    void reduce(at::Tensor& flat) override {
        if (flat.scalar_type() == at::kDouble)
            sum<double>(flat);
        else if (flat.scalar_type() == at::kFloat)
            sum<float>(flat);
        else
            throw Error(
                fmt::format("gradients of type {} cannot be summed over MPI; train in float32",
                            at::toString(flat.scalar_type())));
    }

  private:
    template <class T>
    void sum(at::Tensor& flat) {
        all_reduce(comm_, std::span(flat.data_ptr<T>(), static_cast<std::size_t>(flat.numel())),
                   Reduction::sum);
    }

    Communicator comm_;
};

class NcclReducer final : public GradientReducer {
  public:
    NcclReducer(const Communicator& comm, at::Device device)
        : device_(device), group_(on_device(comm, device)) {}

    void reduce(at::Tensor& flat) override {
        const c10::DeviceGuard guard(device_);
        const c10::Stream stream = c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
        group_.all_reduce_sum(flat.data_ptr(), static_cast<std::size_t>(flat.numel()),
                              element(flat.scalar_type()), stream.native_handle());
        stream.synchronize();
    }

  private:
    static DeviceGroup on_device(const Communicator& comm, at::Device device) {
        const c10::DeviceGuard guard(device);
        return DeviceGroup(comm);
    }

    static DeviceElement element(at::ScalarType type) {
        switch (type) {
            case at::kFloat:
                return DeviceElement::float32;
            case at::kDouble:
                return DeviceElement::float64;
            case at::kBFloat16:
                return DeviceElement::bfloat16;
            default:
                throw Error(
                    fmt::format("gradients of type {} cannot be summed by NCCL; train in "
                                "float32",
                                at::toString(type)));
        }
    }

    at::Device device_;
    DeviceGroup group_;
};

}  // namespace

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

std::unique_ptr<GradientReducer> make_gradient_reducer(const Communicator& comm,
                                                       at::Device device) {
    if (device.is_cpu())
        return std::make_unique<MpiReducer>(comm);
    return std::make_unique<NcclReducer>(comm, device);
}

}  // namespace popalign
