#pragma once

#include <popalign/base/range.hpp>
#include <popalign/comm/communicator.hpp>

#include <cstddef>
#include <memory>
#include <span>

namespace popalign::comm {

/// One block of zeroed memory that the ranks of a node map together. It has no name that could be
/// left behind: it goes with the last rank that maps it.
class SharedMemory {
  public:
    /// `node` must be ranks of one node (`split_node`). Throws AgreedError, e.g. out of memory.
    /// Collective.
    SharedMemory(const Communicator& node, std::size_t bytes);

    std::span<std::byte> bytes() const noexcept { return {data_.get(), size_}; }
    /// Keeps the mapping for as long as somebody holds it.
    std::shared_ptr<std::byte> owner() const noexcept { return data_; }

  private:
    std::shared_ptr<std::byte> data_;
    std::size_t size_;
};

}  // namespace popalign::comm
