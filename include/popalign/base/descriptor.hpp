#pragma once

#include <popalign/base/unique_handle.hpp>

#include <unistd.h>

namespace popalign {

struct DescriptorTraits {
    using Handle = int;
    static Handle null() noexcept { return -1; }
    static void release(Handle handle) noexcept { ::close(handle); }
};

/// Owner of a POSIX file descriptor, which it closes. -1, the error value of `::open`, means no
/// file.
using Descriptor = UniqueHandle<DescriptorTraits>;

}  // namespace popalign
