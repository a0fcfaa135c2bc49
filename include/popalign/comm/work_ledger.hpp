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

/// Hands out work without anybody who hands out: a counter for each shard and phase, in the memory
/// of the shard's first rank, from which any rank draws tickets one-sidedly (MPI_Fetch_and_op). A
/// shard belongs to the ranks of a node. Serial is valid.
class WorkLedger {
  public:
    /// `node` are the ranks of `comm` that share this rank's shard. Collective over `comm`.
    WorkLedger(const Communicator& comm, const Communicator& node, std::size_t phases = 1);
    WorkLedger(WorkLedger&&) noexcept;
    WorkLedger& operator=(WorkLedger&&) noexcept;
    /// Frees nothing that the others would have to free too: see `finish`.
    ~WorkLedger();

    int shards() const noexcept;
    int own_shard() const noexcept;
    /// Ranks that share the shard.
    int workers(int shard) const noexcept;
    /// False where the MPI library offers nothing one-sided between nodes: other shards then look
    /// empty, and each node works through its own.
    bool spans_nodes() const noexcept;
    /// Of `count` items, those that are the shard's: in proportion to its ranks.
    Range share(int shard, std::size_t count) const noexcept;

    /// The next ticket, from 0 on; each is drawn once.
    std::uint64_t draw(int shard, std::size_t phase = 0);
    /// From now on all tickets are beyond any chunk: for a rank that fails while others work.
    void stop();
    /// Where networks cannot reach this rank's memory without its help, it helps here: call it now
    /// and then while working.
    void progress();

    /// This rank's search; `schedule_of` must give the same on all ranks. The ledger must outlive
    /// it.
    WorkSearch search(std::size_t phase, WorkSearch::ScheduleOf schedule_of);

    /// Ends the handing out. Collective.
    void finish();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Draws until there is a chunk; none if all shards are empty.
std::vector<WorkUnit> next_chunk(WorkLedger& ledger, std::size_t phase, WorkSearch& search);

}  // namespace popalign::comm
