#pragma once

#include <popalign/base/range.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/comm/work_schedule.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace popalign::comm {

/// Distributes work without a master rank. There is one counter per shard and phase, in the memory
/// of the shard's first rank; any rank draws tickets from it one-sidedly (MPI_Fetch_and_op). A
/// shard belongs to the ranks of one node. A serial communicator is valid.
class WorkLedger {
  public:
    /// `node` is the group of ranks of `comm` that share this rank's shard. Collective over `comm`.
    WorkLedger(const Communicator& comm, const Communicator& node, std::size_t phases = 1);
    WorkLedger(WorkLedger&&) noexcept;
    WorkLedger& operator=(WorkLedger&&) noexcept;
    /// Does not free the MPI window, which is collective: see `finish`.
    ~WorkLedger();

    int shards() const noexcept;
    int own_shard() const noexcept;
    /// Number of ranks that share the shard.
    int workers(int shard) const noexcept;
    /// False if the MPI library has no one-sided communication between nodes. Other shards then
    /// look empty, and each node works only on its own.
    bool spans_nodes() const noexcept;
    /// Returns the items of the shard, of `count` in all, in proportion to its ranks.
    Range share(int shard, std::size_t count) const noexcept;

    /// Draws the next ticket of a shard, from 0 on. Each ticket is drawn once.
    std::uint64_t draw(int shard, std::size_t phase = 0);
    /// Makes all further tickets lie beyond the last chunk. A rank that fails while others work
    /// calls it.
    void stop();
    /// Lets MPI answer the draws of other ranks, on networks that need help of this rank for it.
    /// Call it now and then while working.
    void progress();

    /// Returns this rank's search. `schedule_of` must return the same schedules on all ranks. The
    /// ledger must outlive the search.
    WorkSearch search(std::size_t phase, WorkSearch::ScheduleOf schedule_of);

    /// Frees the MPI window; call it when no rank will draw again. Collective.
    void finish();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Draws tickets until one has a chunk, and returns its units. Returns none if all shards are
/// empty.
std::vector<WorkUnit> next_chunk(WorkLedger& ledger, std::size_t phase, WorkSearch& search);

}  // namespace popalign::comm
