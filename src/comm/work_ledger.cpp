#include "comm/native.hpp"

#include <popalign/base/range.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/shared_memory.hpp>
#include <popalign/comm/work_ledger.hpp>

#include <array>
#include <optional>
#include <utility>

namespace popalign::comm {
namespace {

constexpr std::uint64_t stopped = std::uint64_t{1} << 62;

}  // namespace

struct WorkLedger::State {
    Communicator comm;
    std::size_t phases;
    int own = 0;
    std::vector<std::int32_t> homes,
        workers;                        // by shard: the rank that has its counters, and ranks
    std::optional<SharedMemory> empty;  // [phase, shard]
    std::vector<std::uint64_t> serial;  // the counters of a communicator without MPI
    MPI_Win window = MPI_WIN_NULL;
    bool spans_nodes = true;

    State(const Communicator& c, const Communicator& node, std::size_t phase_count)
        : comm(c), phases(phase_count) {
        find_shards(node);
        empty.emplace(node, phases * homes.size());
        if (comm.native() == nullptr) {
            serial.resize(phases);
            return;
        }
        std::uint64_t* counters = nullptr;
        const auto bytes =
            static_cast<MPI_Aint>(node.is_root() ? phases * sizeof(std::uint64_t) : 0);
        const auto allocate = [&](const Communicator& ranks) {
            return MPI_Win_allocate(bytes, sizeof(std::uint64_t), MPI_INFO_NULL,
                                    native_handle(ranks), &counters, &window);
        };
        // Not every MPI library is set up for one-sided communication over its network.
        if (allocate(comm) != MPI_SUCCESS) {
            spans_nodes = false;
            check_mpi(allocate(node), "MPI_Win_allocate");
        }
        check_mpi(MPI_Win_set_errhandler(window, MPI_ERRORS_RETURN), "MPI_Win_set_errhandler");
        check_mpi(MPI_Win_lock_all(MPI_MODE_NOCHECK, window), "MPI_Win_lock_all");
        if (node.is_root())
            std::fill_n(counters, phases, 0);
        check_mpi(MPI_Win_sync(window), "MPI_Win_sync");
        barrier(comm);
    }

    void find_shards(const Communicator& node) {
        std::int32_t home = comm.rank();
        broadcast(node, std::span(&home, 1));
        std::vector<std::int32_t> count(static_cast<std::size_t>(comm.size()), 0);
        for (const std::int32_t of : all_gather(comm, home))
            ++count[static_cast<std::size_t>(of)];
        for (int rank = 0; rank < comm.size(); ++rank) {
            if (count[static_cast<std::size_t>(rank)] == 0)
                continue;
            if (rank == home)
                own = static_cast<int>(homes.size());
            homes.push_back(rank);
            workers.push_back(count[static_cast<std::size_t>(rank)]);
        }
    }

    bool reaches(int shard) const { return spans_nodes || shard == own; }

    std::uint64_t add(int shard, std::size_t phase, std::uint64_t value) {
        if (window == MPI_WIN_NULL)
            return std::exchange(serial.at(phase), serial[phase] + value);
        if (!reaches(shard))
            return stopped;
        const int home = spans_nodes ? homes[static_cast<std::size_t>(shard)] : 0;
        std::uint64_t before = 0;
        check_mpi(MPI_Fetch_and_op(&value, &before, MPI_UINT64_T, home,
                                   static_cast<MPI_Aint>(phase), MPI_SUM, window),
                  "MPI_Fetch_and_op");
        check_mpi(MPI_Win_flush(home, window), "MPI_Win_flush");
        return before;
    }
};

WorkLedger::WorkLedger(const Communicator& comm, const Communicator& node, std::size_t phases)
    : state_(std::make_unique<State>(comm, node, phases)) {}
WorkLedger::WorkLedger(WorkLedger&&) noexcept = default;
WorkLedger& WorkLedger::operator=(WorkLedger&&) noexcept = default;
WorkLedger::~WorkLedger() = default;

int WorkLedger::shards() const noexcept {
    return static_cast<int>(state_->homes.size());
}
int WorkLedger::own_shard() const noexcept {
    return state_->own;
}
int WorkLedger::workers(int shard) const noexcept {
    return state_->workers[static_cast<std::size_t>(shard)];
}

bool WorkLedger::spans_nodes() const noexcept {
    return state_->spans_nodes;
}

Range WorkLedger::share(int shard, std::size_t count) const noexcept {
    int before = 0;
    for (int other = 0; other < shard; ++other)
        before += workers(other);
    const int ranks = state_->comm.size();
    return {partition(count, before, ranks).begin,
            partition(count, before + workers(shard) - 1, ranks).end};
}

std::uint64_t WorkLedger::draw(int shard, std::size_t phase) {
    return state_->add(shard, phase, 1);
}

void WorkLedger::stop() {
    for (int shard = 0; shard < shards(); ++shard)
        for (std::size_t phase = 0; phase < state_->phases; ++phase)
            state_->add(shard, phase, stopped);
}

void WorkLedger::progress() {
    int arrived = 0;
    if (state_->window != MPI_WIN_NULL)
        check_mpi(MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, native_handle(state_->comm), &arrived,
                             MPI_STATUS_IGNORE),
                  "MPI_Iprobe");
}

WorkSearch WorkLedger::search(std::size_t phase, WorkSearch::ScheduleOf schedule_of) {
    const auto bytes =
        state_->empty->bytes().subspan(phase * state_->homes.size(), state_->homes.size());
    return {state_->own,
            {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()},
            static_cast<std::uint64_t>(state_->comm.rank()),
            std::move(schedule_of)};
}

void WorkLedger::finish() {
    if (state_->window == MPI_WIN_NULL)
        return;
    check_mpi(MPI_Win_unlock_all(state_->window), "MPI_Win_unlock_all");
    check_mpi(MPI_Win_free(&state_->window), "MPI_Win_free");
}

std::vector<WorkUnit> next_chunk(WorkLedger& ledger, std::size_t phase, WorkSearch& search) {
    while (const auto shard = search.next()) {
        const auto chunk = search.take(*shard, ledger.draw(*shard, phase));
        if (!chunk.empty())
            return {chunk.begin(), chunk.end()};
    }
    return {};
}

}  // namespace popalign::comm
