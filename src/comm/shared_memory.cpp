#include <popalign/base/descriptor.hpp>
#include <popalign/base/error.hpp>
#include <popalign/base/memory.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/comm/shared_memory.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

namespace popalign::comm {
namespace {

Descriptor create(std::size_t bytes) {
    if (const auto available = available_memory(); bytes > available)
        throw Error(
            fmt::format("{} MiB of memory are needed and {} are free; use a smaller model, "
                        "bfloat16 or another node",
                        bytes >> 20, available >> 20));
    Descriptor file(::memfd_create("popalign", MFD_CLOEXEC));
    if (!file || ::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0)
        throw_system_error("create it", "shared memory");
    // Taken now: a page that cannot be had later would kill the rank that touches it.
    if (const int error = ::posix_fallocate(file.get(), 0, static_cast<off_t>(bytes)); error != 0) {
        errno = error;
        throw_system_error(fmt::format("get {} MiB of it", bytes >> 20), "shared memory");
    }
    return file;
}

std::shared_ptr<std::byte> map(std::size_t bytes, int sharing, int file) {
    void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, sharing, file, 0);
    if (data == MAP_FAILED)
        throw_system_error("map it", "shared memory");
    return {static_cast<std::byte*>(data), [bytes](std::byte* mapped) { ::munmap(mapped, bytes); }};
}

}  // namespace

SharedMemory::SharedMemory(const Communicator& node, std::size_t bytes)
    : size_(std::max<std::size_t>(bytes, 1)) {
    Descriptor file;
    std::string path;
    run_on_all(node, [&] {
        if (node.size() == 1) {
            data_ = map(size_, MAP_PRIVATE | MAP_ANONYMOUS, -1);
        } else if (node.is_root()) {
            file = create(size_);
            path = fmt::format("/proc/{}/fd/{}", ::getpid(), file.get());
        }
    });
    if (node.size() == 1)
        return;
    path = broadcast_object(node, path);
    run_on_all(node, [&] {
        if (!node.is_root())
            file.reset(::open(path.c_str(), O_RDWR | O_CLOEXEC));
        if (!file)
            throw_system_error("open the memory of the node's first rank", path);
        data_ = map(size_, MAP_SHARED, file.get());
    });
}

}  // namespace popalign::comm
