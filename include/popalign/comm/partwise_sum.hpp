#pragma once

#include <popalign/comm/communicator.hpp>

#include <cstddef>
#include <memory>
#include <span>

namespace popalign::comm {

/// Sums buffers over ranks while other work goes on. A buffer has as many parts of equal size as
/// there are ranks, and each rank owns one. Where all nodes have equally many ranks, sums are made
/// inside the nodes first and then across them: what crosses the network has been added up before.
///
/// Buffers must live until `finish`. All ranks call the same operations in the same order. Terms
/// are added in the order of the ranks: the same sums come out each time.
class PartwiseSum {
  public:
    /// `node` are the ranks that share memory with this one. Collective.
    PartwiseSum(const Communicator& comm, const Communicator& node);
    PartwiseSum(PartwiseSum&&) noexcept;
    PartwiseSum& operator=(PartwiseSum&&) noexcept;
    ~PartwiseSum();

    int parts() const noexcept;
    /// The one that this rank owns.
    int part() const noexcept;

    enum class Result {
        in_parts,  ///< each owner's part holds the sum, the others nothing of use
        on_all
    };
    void add(std::span<float> buffer, Result result);
    void add(std::span<double> buffer, Result result);
    /// Brings every owner's part to all ranks.
    void spread(std::span<std::byte> buffer);
    /// Moves on what was begun, without waiting: MPI does so only when it is called. How many
    /// operations are not done; they are done in their order.
    std::size_t progress();
    /// Waits for all that was begun.
    void finish();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace popalign::comm
