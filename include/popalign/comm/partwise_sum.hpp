#pragma once

#include <popalign/comm/communicator.hpp>

#include <cstddef>
#include <memory>
#include <span>

namespace popalign::comm {

/// Sums buffers over ranks while other work goes on. A buffer has one part per rank, all of equal
/// size, and each rank owns one part. If all nodes have the same number of ranks, sums are made
/// inside the nodes first and then between nodes, which reduces network traffic.
///
/// Buffers must live until `finish`. All ranks call the same operations in the same order.
/// Deterministic: terms are added in the order of the ranks.
class PartwiseSum {
  public:
    /// `node` is the group of ranks that share memory with this one. Collective.
    PartwiseSum(const Communicator& comm, const Communicator& node);
    PartwiseSum(PartwiseSum&&) noexcept;
    PartwiseSum& operator=(PartwiseSum&&) noexcept;
    ~PartwiseSum();

    int parts() const noexcept;
    /// The part that this rank owns.
    int part() const noexcept;

    enum class Result {
        in_parts,  ///< each rank has the sum in its own part; other parts are undefined
        on_all
    };
    void add(std::span<float> buffer, Result result);
    void add(std::span<double> buffer, Result result);
    /// Sends each rank's own part to all ranks.
    void spread(std::span<std::byte> buffer);
    /// Advances the pending operations without waiting; MPI makes progress only during calls.
    /// Returns the number of operations that are not finished. They finish in the order of their
    /// start.
    std::size_t progress();
    /// Waits for all pending operations.
    void finish();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace popalign::comm
