#pragma once

#include <popalign/comm/communicator.hpp>
#include <popalign/comm/partwise_sum.hpp>

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <memory>

namespace popalign::preference {

/// Sums tensors over ranks while other work goes on; parts and their owners as in PartwiseSum.
/// Tensors are contiguous, as many elements as parts or a multiple, and live until `finish`.
class PartReducer {
  public:
    virtual ~PartReducer() = default;

    virtual int parts() const = 0;
    /// Returns the part that this rank owns.
    virtual int part() const = 0;
    /// Begins to sum the tensor as it is after all work queued so far.
    virtual void add(const at::Tensor& tensor, comm::PartwiseSum::Result result) = 0;
    virtual void spread(const at::Tensor& tensor) = 0;
    /// Progresses the operations begun and returns the number unfinished.
    virtual std::size_t pending() = 0;
    /// Waits for all operations begun.
    virtual void finish() = 0;
};

/// Makes a reducer: MPI for tensors on the CPU; NCCL, on its own stream, for a GPU. Throws Error
/// for a GPU in a build without NCCL. Collective.
std::unique_ptr<PartReducer> make_part_reducer(const comm::Communicator& comm, at::Device device);

}  // namespace popalign::preference
