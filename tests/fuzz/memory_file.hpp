#pragma once

#include <popalign/base/unique_handle.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>

namespace popalign::fuzz {

/// A file that never touches a disk, for readers that take a path.
class MemoryFile {
  public:
    explicit MemoryFile(std::span<const std::uint8_t> input) : file_(::memfd_create("input", 0)) {
        if (!file_ || ::write(file_.get(), input.data(), input.size()) != std::ssize(input))
            std::abort();
    }
    std::string path() const { return "/proc/self/fd/" + std::to_string(file_.get()); }

  private:
    struct Traits {
        using Handle = int;
        static Handle null() noexcept { return -1; }
        static void release(Handle handle) noexcept { ::close(handle); }
    };
    UniqueHandle<Traits> file_;
};

}  // namespace popalign::fuzz
