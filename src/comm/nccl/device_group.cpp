#include <popalign/base/error.hpp>
#include <popalign/base/unique_handle.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/device_group.hpp>
#include <popalign/comm/run.hpp>

#include <fmt/format.h>
#include <nccl.h>

#include <span>

namespace popalign::comm {
namespace {

void check_nccl(ncclResult_t code, std::string_view call,
                std::source_location where = std::source_location::current()) {
    if (code != ncclSuccess)
        throw_call_failed(call, ncclGetErrorString(code), where);
}

ncclDataType_t datatype(DeviceElement element) {
    switch (element) {
        case DeviceElement::float64:
            return ncclFloat64;
        case DeviceElement::bfloat16:
            return ncclBfloat16;
        case DeviceElement::float32:
            break;
    }
    return ncclFloat32;
}

std::string version_text(int version) {
    return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

std::size_t bytes_of(DeviceElement element) {
    switch (element) {
        case DeviceElement::float64:
            return 8;
        case DeviceElement::bfloat16:
            return 2;
        case DeviceElement::float32:
            break;
    }
    return 4;
}

/// Where NCCL wants a rank's part of a buffer that is worked on in place.
void* part_of(void* data, std::size_t count, int part, DeviceElement element) {
    return static_cast<std::byte*>(data) +
           static_cast<std::size_t>(part) * count * bytes_of(element);
}

struct GroupTraits {
    using Handle = ncclComm_t;
    static Handle null() noexcept { return nullptr; }
    // Destroying would wait for work that may never finish.
    static void release(Handle handle) noexcept { ncclCommAbort(handle); }
};

cudaStream_t as_stream(void* stream) {
    return static_cast<cudaStream_t>(stream);
}

}  // namespace

struct DeviceGroup::Native {
    UniqueHandle<GroupTraits> group;
};

bool DeviceGroup::available() noexcept {
    return true;
}

std::string DeviceGroup::library_version() {
    int version = 0;
    check_nccl(ncclGetVersion(&version), "ncclGetVersion");
    return version_text(version);
}
std::string DeviceGroup::compiled_version() {
    return version_text(NCCL_VERSION_CODE);
}

DeviceGroup::DeviceGroup(const Communicator& comm) : native_(std::make_unique<Native>()) {
    ncclUniqueId id{};
    run_on_all(comm, [&] {
        if (comm.is_root())
            check_nccl(ncclGetUniqueId(&id), "ncclGetUniqueId");
    });
    popalign::comm::broadcast<std::byte>(comm, std::as_writable_bytes(std::span(id.internal)));
    ncclComm_t group = nullptr;
    check_nccl(ncclCommInitRank(&group, comm.size(), id, comm.rank()), "ncclCommInitRank");
    native_->group.reset(group);
}
DeviceGroup::DeviceGroup(DeviceGroup&&) noexcept = default;
DeviceGroup& DeviceGroup::operator=(DeviceGroup&&) noexcept = default;
DeviceGroup::~DeviceGroup() = default;

void DeviceGroup::all_reduce_sum(void* data, std::size_t count, DeviceElement element,
                                 void* stream) {
    check_nccl(ncclAllReduce(data, data, count, datatype(element), ncclSum, native_->group.get(),
                             as_stream(stream)),
               "ncclAllReduce");
}

void DeviceGroup::reduce_scatter_sum(void* data, std::size_t count, int part, DeviceElement element,
                                     void* stream) {
    check_nccl(
        ncclReduceScatter(data, part_of(data, count, part, element), count, datatype(element),
                          ncclSum, native_->group.get(), as_stream(stream)),
        "ncclReduceScatter");
}

void DeviceGroup::all_gather(void* data, std::size_t count, int part, DeviceElement element,
                             void* stream) {
    check_nccl(ncclAllGather(part_of(data, count, part, element), data, count, datatype(element),
                             native_->group.get(), as_stream(stream)),
               "ncclAllGather");
}

void DeviceGroup::broadcast(void* data, std::size_t count, DeviceElement element, int root,
                            void* stream) {
    check_nccl(ncclBroadcast(data, data, count, datatype(element), root, native_->group.get(),
                             as_stream(stream)),
               "ncclBroadcast");
}

void DeviceGroup::close() {
    if (native_ == nullptr || !native_->group)
        return;
    check_nccl(ncclCommFinalize(native_->group.get()), "ncclCommFinalize");
    check_nccl(ncclCommDestroy(native_->group.take()), "ncclCommDestroy");
}

}  // namespace popalign::comm
