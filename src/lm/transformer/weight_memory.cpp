#include "lm/transformer/weight_memory.hpp"

#include <popalign/base/error.hpp>
#include <popalign/comm/shared_memory.hpp>

#include <ATen/ATen.h>

namespace popalign::lm {

WeightMemory::WeightMemory(const comm::Communicator& node, std::size_t bytes)
    : size_(bytes), rank_(node.rank()), ranks_(node.size()) {
    block_ = comm::SharedMemory(node, bytes).owner();
}

at::Tensor WeightMemory::allocate(at::IntArrayRef sizes, at::TensorOptions options) {
    if (!block_)
        return at::zeros(sizes, options);
    std::size_t bytes = options.dtype().itemsize();
    for (std::int64_t size : sizes)
        bytes *= static_cast<std::size_t>(size);
    if (aligned(bytes) > size_ - used_)
        throw Error("more weights than memory was set aside for");
    const auto data = block_.get() + used_;
    used_ += aligned(bytes);
    return at::from_blob(
        data, sizes, [owner = block_](void*) {}, options);
}

bool WeightMemory::fills(std::size_t part) const noexcept {
    return static_cast<int>(part % static_cast<std::size_t>(ranks_)) == rank_;
}

}  // namespace popalign::lm
