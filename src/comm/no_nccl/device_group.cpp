// The build without NCCL: groups cannot be made, and say so.
#include <popalign/base/error.hpp>
#include <popalign/comm/device_group.hpp>

namespace popalign::comm {

struct DeviceGroup::Native {};

bool DeviceGroup::available() noexcept {
    return false;
}
std::string DeviceGroup::library_version() {
    return "";
}
std::string DeviceGroup::compiled_version() {
    return "";
}

DeviceGroup::DeviceGroup(const Communicator&) {
    throw UsageError(
        "GPU ranks need NCCL, which this build does not have; build the `cuda` preset or set "
        "run.device to cpu");
}
DeviceGroup::DeviceGroup(DeviceGroup&&) noexcept = default;
DeviceGroup& DeviceGroup::operator=(DeviceGroup&&) noexcept = default;
DeviceGroup::~DeviceGroup() = default;

void DeviceGroup::all_reduce_sum(void*, std::size_t, DeviceElement, void*) {}
void DeviceGroup::reduce_scatter_sum(void*, std::size_t, int, DeviceElement, void*) {}
void DeviceGroup::all_gather(void*, std::size_t, int, DeviceElement, void*) {}
void DeviceGroup::broadcast(void*, std::size_t, DeviceElement, int, void*) {}
void DeviceGroup::close() {}

}  // namespace popalign::comm
