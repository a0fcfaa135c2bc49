#include "comm/native.hpp"

#include <popalign/base/log.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>

#include <fmt/format.h>

#include <limits>
#include <utility>

namespace popalign::comm {
namespace {

class MpiSession {
  public:
    MpiSession(int& argc, char**& argv) {
        int provided = MPI_THREAD_SINGLE;
        check_mpi(MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
        MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    }
    MpiSession(const MpiSession&) = delete;
    MpiSession& operator=(const MpiSession&) = delete;
    // Reached only when all ranks leave together: a rank that leaves alone aborts first.
    ~MpiSession() { MPI_Finalize(); }

    static Communicator world() {
        int rank = 0, size = 1;
        check_mpi(MPI_Comm_rank(MPI_COMM_WORLD, &rank), "MPI_Comm_rank");
        check_mpi(MPI_Comm_size(MPI_COMM_WORLD, &size), "MPI_Comm_size");
        auto native = std::make_shared<const Communicator::Native>(
            MPI_COMM_WORLD, Communicator::Native::Ownership::borrowed);
        return {std::move(native), rank, size};
    }
};

std::string with_rank(const Communicator& comm, std::string_view message) {
    return comm.size() == 1
               ? fmt::format("popalign: {}", message)
               : fmt::format("popalign: [rank {}/{}] {}", comm.rank(), comm.size(), message);
}

}  // namespace

void abort_job(const Communicator& comm, std::string_view message, ExitStatus status) {
    write_line(with_rank(comm, message));
    MPI_Abort(MPI_COMM_WORLD, static_cast<int>(status));
    std::abort();
}

AgreedError::AgreedError(int rank, int ranks, const std::string& message, ExitStatus status)
    : Error(ranks == 1 ? message : fmt::format("{} [rank {}/{}]", message, rank, ranks), status),
      rank_(rank) {}

int run_program(int& argc, char**& argv,
                const std::function<ExitStatus(const Communicator&)>& body) {
    const MpiSession session(argc, argv);
    const Communicator world = MpiSession::world();
    try {
        return static_cast<int>(body(world));
    } catch (const AgreedError& error) {
        if (world.is_root())
            write_line(fmt::format("popalign: {}", error.what()));
        return static_cast<int>(error.status());
    } catch (const Error& error) {
        if (world.size() > 1)
            abort_job(world, error.what(), error.status());
        write_line(with_rank(world, error.what()));
        return static_cast<int>(error.status());
    } catch (const std::bad_alloc&) {
        abort_job(world, "out of memory; use fewer ranks a node or smaller batches",
                  ExitStatus::failed);
    } catch (const std::exception& error) {
        abort_job(world, error.what(), ExitStatus::failed);
    }
}

void agree_on_failure(const Communicator& comm, const std::optional<Error>& mine) {
    constexpr auto none = std::numeric_limits<std::int32_t>::max();
    const std::int32_t first =
        all_reduce<std::int32_t>(comm, mine ? comm.rank() : none, Reduction::minimum);
    if (first == none)
        return;
    const auto status =
        broadcast_object(comm, static_cast<int>(mine ? mine->status() : ExitStatus::failed), first);
    const auto message = broadcast_object(comm, std::string(mine ? mine->what() : ""), first);
    throw AgreedError(first, comm.size(), message, static_cast<ExitStatus>(status));
}

bool agree_to_stop(const Communicator& comm, const Deadline& deadline) {
    return all_reduce<std::int32_t>(comm, deadline.reached() ? 1 : 0, Reduction::maximum) != 0;
}

}  // namespace popalign::comm
