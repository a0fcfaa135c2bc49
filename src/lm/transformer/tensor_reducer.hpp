#pragma once

#include <popalign/comm/communicator.hpp>

#include <ATen/core/Tensor.h>

#include <memory>

namespace popalign::lm {

/// Sums tensors over ranks.
class TensorReducer {
  public:
    virtual ~TensorReducer() = default;
    /// In place; the sum is there when it returns. `tensor` is contiguous. Collective.
    virtual void reduce(at::Tensor& tensor) = 0;
};

/// MPI for tensors on the CPU, NCCL for those on a GPU. Throws Error for a GPU in a build without
/// NCCL. Collective.
std::unique_ptr<TensorReducer> make_tensor_reducer(const comm::Communicator& comm,
                                                   at::Device device);

}  // namespace popalign::lm
