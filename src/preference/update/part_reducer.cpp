#include "preference/update/part_reducer.hpp"

#include <popalign/base/error.hpp>
#include <popalign/comm/device_group.hpp>
#include <popalign/lm/transformer/device_element.hpp>

#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>

#include <deque>
#include <span>

namespace popalign::preference {
namespace {

class MpiPartReducer final : public PartReducer {
  public:
    explicit MpiPartReducer(const comm::Communicator& comm) : sums_(comm, comm.split_node()) {}

    int parts() const override { return sums_.parts(); }
    int part() const override { return sums_.part(); }
    void add(const at::Tensor& tensor, comm::PartwiseSum::Result result) override {
        const auto count = static_cast<std::size_t>(tensor.numel());
        if (tensor.scalar_type() == at::kDouble)
            sums_.add(std::span(tensor.data_ptr<double>(), count), result);
        else if (tensor.scalar_type() == at::kFloat)
            sums_.add(std::span(tensor.data_ptr<float>(), count), result);
        else
            throw Error(fmt::format("tensors of type {} cannot be summed over MPI; use float32",
                                    at::toString(tensor.scalar_type())));
    }
    void spread(const at::Tensor& tensor) override {
        sums_.spread({static_cast<std::byte*>(tensor.data_ptr()), tensor.nbytes()});
    }
    std::size_t pending() override { return sums_.progress(); }
    void finish() override { sums_.finish(); }

  private:
    comm::PartwiseSum sums_;
};

/// The stream of computation and that of communication wait for each other by events; the host
/// waits for neither.
class NcclPartReducer final : public PartReducer {
  public:
    NcclPartReducer(const comm::Communicator& comm, at::Device device)
        : device_(device),
          comm_(comm),
          group_(on_device(comm, device)),
          guard_(device.type()),
          stream_(guard_.getStreamFromGlobalPool(device, /*isHighPriority=*/true)) {}

    int parts() const override { return comm_.size(); }
    int part() const override { return comm_.rank(); }
    void add(const at::Tensor& tensor, comm::PartwiseSum::Result result) override {
        run(
            [&](comm::DeviceElement element, std::size_t count) {
                if (result == comm::PartwiseSum::Result::on_all)
                    group_.all_reduce_sum(tensor.data_ptr(), count, element,
                                          stream_.native_handle());
                else
                    group_.reduce_scatter_sum(tensor.data_ptr(), part_of(count), part(), element,
                                              stream_.native_handle());
            },
            tensor);
    }
    void spread(const at::Tensor& tensor) override {
        run(
            [&](comm::DeviceElement element, std::size_t count) {
                group_.all_gather(tensor.data_ptr(), part_of(count), part(), element,
                                  stream_.native_handle());
            },
            tensor);
    }
    std::size_t pending() override {
        while (!events_.empty() && events_.front().query())
            events_.pop_front();
        return events_.size();
    }
    void finish() override {
        if (!events_.empty())
            events_.back().block(guard_.getStream(device_));
        events_.clear();
    }

  private:
    static comm::DeviceGroup on_device(const comm::Communicator& comm, at::Device device) {
        const c10::DeviceGuard guard(device);
        return comm::DeviceGroup(comm);
    }
    std::size_t part_of(std::size_t count) const {
        return count / static_cast<std::size_t>(comm_.size());
    }
    template <class Call>
    void run(const Call& call, const at::Tensor& tensor) {
        const c10::DeviceGuard guard(device_);
        c10::Event ready(device_.type());
        ready.record(guard_.getStream(device_));
        ready.block(stream_);
        call(lm::device_element(tensor.scalar_type()), static_cast<std::size_t>(tensor.numel()));
        events_.emplace_back(device_.type()).record(stream_);
    }

    at::Device device_;
    comm::Communicator comm_;
    comm::DeviceGroup group_;
    c10::impl::VirtualGuardImpl guard_;
    c10::Stream stream_;
    std::deque<c10::Event> events_;
};

}  // namespace

std::unique_ptr<PartReducer> make_part_reducer(const comm::Communicator& comm, at::Device device) {
    if (device.is_cpu())
        return std::make_unique<MpiPartReducer>(comm);
    return std::make_unique<NcclPartReducer>(comm, device);
}

}  // namespace popalign::preference
