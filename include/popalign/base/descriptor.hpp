#pragma once

#include <popalign/base/unique_handle.hpp>

#include <unistd.h>

namespace popalign {

struct DescriptorTraits {
    using Handle = int;
    static Handle null() noexcept { return -1; }
    static void release(Handle handle) noexcept { ::close(handle); }
};

/// A file that the operating system holds open, closed with its owner. Makes what `::open` returns
/// safe to keep: -1 is no file.
using Descriptor = UniqueHandle<DescriptorTraits>;

}  // namespace popalign
