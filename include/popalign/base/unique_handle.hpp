#pragma once

#include <utility>

namespace popalign {

/// Unique owner of a C handle. `Traits` provides `using Handle`, `static Handle null() noexcept`
/// and `static void release(Handle) noexcept`. Move-only; assignment releases the old handle.
template <class Traits>
class UniqueHandle {
  public:
    using Handle = typename Traits::Handle;

    UniqueHandle() noexcept = default;
    explicit UniqueHandle(Handle handle) noexcept : handle_(handle) {}
    UniqueHandle(UniqueHandle&& other) noexcept : handle_(other.take()) {}
    UniqueHandle& operator=(UniqueHandle&& other) noexcept {
        if (this != &other)
            reset(other.take());
        return *this;
    }
    ~UniqueHandle() { reset(); }

    explicit operator bool() const noexcept { return handle_ != Traits::null(); }
    Handle get() const noexcept { return handle_; }

    /// Gives up ownership without releasing.
    Handle take() noexcept { return std::exchange(handle_, Traits::null()); }

    void reset(Handle handle = Traits::null()) noexcept {
        Handle old = std::exchange(handle_, handle);
        if (old != Traits::null())
            Traits::release(old);
    }

  private:
    Handle handle_ = Traits::null();
};

}  // namespace popalign
