#pragma once

#include <cstddef>
#include <memory>
#include <utility>

namespace popalign::comm {

/// A group of ranks, as a small copyable value. The default one is serial: rank 0 of 1, and no
/// operation on it calls MPI. A communicator made by `split` is freed with its last copy.
class Communicator {
  public:
    Communicator() = default;

    int rank() const noexcept { return rank_; }
    int size() const noexcept { return size_; }
    bool is_root() const noexcept { return rank_ == 0; }

    /// Returns the group of ranks with the same `color`, in their order here. Collective.
    Communicator split(int color) const;
    /// Returns the group of ranks that share memory with this one. Collective.
    Communicator split_node() const;

    struct Native;
    const Native* native() const noexcept { return native_.get(); }
    /// For the comm module: wraps a native handle.
    Communicator(std::shared_ptr<const Native> native, int rank, int size)
        : native_(std::move(native)), rank_(rank), size_(size) {}

  private:
    std::shared_ptr<const Native> native_;
    int rank_ = 0, size_ = 1;
};

}  // namespace popalign::comm
