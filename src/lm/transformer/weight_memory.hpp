#pragma once

#include <popalign/comm/communicator.hpp>

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace popalign::lm {

/// Memory of inference weights: on a CPU it is shared and filled together by the ranks of a node,
/// otherwise it is on the device.
class WeightMemory {
  public:
    /// Memory of this process alone.
    WeightMemory() = default;
    /// `bytes` of CPU memory for all that will be allocated, each part rounded up to 64 bytes.
    /// Collective over `node`.
    WeightMemory(const comm::Communicator& node, std::size_t bytes);

    /// Every rank allocates the same in the same order.
    at::Tensor allocate(at::IntArrayRef sizes, at::TensorOptions options);
    /// Returns whether this rank fills part `part` of data that the ranks divide among themselves.
    bool fills(std::size_t part) const noexcept;

    static std::size_t aligned(std::size_t bytes) noexcept { return (bytes + 63) / 64 * 64; }

  private:
    std::shared_ptr<std::byte> block_;
    std::size_t size_ = 0, used_ = 0;
    int rank_ = 0, ranks_ = 1;
};

}  // namespace popalign::lm
