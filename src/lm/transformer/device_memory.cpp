#include <popalign/base/memory.hpp>
#include <popalign/lm/transformer/device_memory.hpp>

#include <ATen/DeviceAccelerator.h>

#include <algorithm>

namespace popalign::lm {

std::uint64_t free_memory(at::Device device, int ranks) {
    if (device.is_cpu())
        return available_memory() / static_cast<std::uint64_t>(ranks);
    const int devices = std::max<int>(1, at::accelerator::deviceCount());
    return at::accelerator::getMemoryInfo(device.index()).first /
           static_cast<std::uint64_t>((ranks + devices - 1) / devices);
}

std::uint64_t peak_memory(at::Device device) {
    if (device.is_cpu())
        return popalign::peak_memory();
    return static_cast<std::uint64_t>(
        at::accelerator::getDeviceStats(device.index())
            .reserved_bytes[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)]
            .peak);
}

}  // namespace popalign::lm
