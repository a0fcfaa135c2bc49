#pragma once

#include <popalign/base/range.hpp>
#include <popalign/comm/communicator.hpp>

#include <cstddef>
#include <memory>
#include <span>

namespace popalign::comm {

/// One block of zeroed memory that all ranks of a node map. It has no name that could be left
/// behind; it is freed when the last rank unmaps it.
class SharedMemory {
  public:
    /// `node` must be ranks of one node (`split_node`). Throws AgreedError, e.g. when memory runs
    /// out. Collective.
    SharedMemory(const Communicator& node, std::size_t bytes);

    std::span<std::byte> bytes() const noexcept { return {data_.get(), size_}; }
    /// Shared owner, which keeps the memory mapped.
    std::shared_ptr<std::byte> owner() const noexcept { return data_; }

  private:
    std::shared_ptr<std::byte> data_;
    std::size_t size_;
};

}  // namespace popalign::comm
