#include "lm/transformer/tensor_reducer.hpp"

#include <popalign/base/error.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/device_group.hpp>
#include <popalign/lm/transformer/device_element.hpp>

#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>

namespace popalign::lm {
namespace {

class MpiReducer final : public TensorReducer {
  public:
    explicit MpiReducer(const comm::Communicator& comm) : comm_(comm) {}

    void reduce(at::Tensor& tensor) override {
        if (tensor.scalar_type() == at::kDouble)
            sum<double>(tensor);
        else if (tensor.scalar_type() == at::kFloat)
            sum<float>(tensor);
        else
            throw Error(fmt::format("tensors of type {} cannot be summed over MPI; use float32",
                                    at::toString(tensor.scalar_type())));
    }

  private:
    template <class T>
    void sum(at::Tensor& tensor) {
        comm::all_reduce(comm_,
                         std::span(tensor.data_ptr<T>(), static_cast<std::size_t>(tensor.numel())),
                         comm::Reduction::sum);
    }

    comm::Communicator comm_;
};

class NcclReducer final : public TensorReducer {
  public:
    NcclReducer(const comm::Communicator& comm, at::Device device)
        : device_(device), group_(on_device(comm, device)) {}

    void reduce(at::Tensor& tensor) override {
        const c10::DeviceGuard guard(device_);
        const c10::Stream stream = c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
        group_.all_reduce_sum(tensor.data_ptr(), static_cast<std::size_t>(tensor.numel()),
                              device_element(tensor.scalar_type()), stream.native_handle());
        stream.synchronize();
    }

  private:
    static comm::DeviceGroup on_device(const comm::Communicator& comm, at::Device device) {
        const c10::DeviceGuard guard(device);
        return comm::DeviceGroup(comm);
    }

    at::Device device_;
    comm::DeviceGroup group_;
};

}  // namespace

comm::DeviceElement device_element(c10::ScalarType type) {
    switch (type) {
        case at::kFloat:
            return comm::DeviceElement::float32;
        case at::kDouble:
            return comm::DeviceElement::float64;
        case at::kBFloat16:
            return comm::DeviceElement::bfloat16;
        default:
            throw Error(fmt::format("tensors of type {} cannot be summed by NCCL; use float32",
                                    c10::toString(type)));
    }
}

std::unique_ptr<TensorReducer> make_tensor_reducer(const comm::Communicator& comm,
                                                   at::Device device) {
    if (device.is_cpu())
        return std::make_unique<MpiReducer>(comm);
    return std::make_unique<NcclReducer>(comm, device);
}

}  // namespace popalign::lm
