#include "comm/native.hpp"

#include <popalign/comm/collectives.hpp>

#include <algorithm>
#include <limits>
#include <numeric>
#include <type_traits>

namespace popalign::comm {
namespace {

// MPI counts are int; larger spans go in pieces of this many elements.
constexpr std::size_t largest_piece = std::size_t{1} << 28;

template <Element T>
MPI_Datatype datatype() {
    if constexpr (std::is_same_v<T, std::byte> || std::is_same_v<T, std::uint8_t>)
        return MPI_UINT8_T;
    else if constexpr (std::is_same_v<T, std::int32_t>)
        return MPI_INT32_T;
    else if constexpr (std::is_same_v<T, std::int64_t>)
        return MPI_INT64_T;
    else if constexpr (std::is_same_v<T, std::uint64_t>)
        return MPI_UINT64_T;
    else if constexpr (std::is_same_v<T, float>)
        return MPI_FLOAT;
    else
        return MPI_DOUBLE;
}

MPI_Op operation(Reduction reduction) {
    switch (reduction) {
        case Reduction::minimum:
            return MPI_MIN;
        case Reduction::maximum:
            return MPI_MAX;
        case Reduction::sum:
            break;
    }
    return MPI_SUM;
}

template <class T, class Call>
void in_pieces(std::span<T> data, Call&& call) {
    for (std::size_t begin = 0; begin < data.size(); begin += largest_piece)
        call(data.subspan(begin, std::min(largest_piece, data.size() - begin)));
}

int count_of(std::size_t size) {
    return static_cast<int>(size);
}

/// Sends every rank its part and receives from every rank, for any sizes: point to point, since
/// MPI_Alltoallv's displacements are int.
void exchange(MPI_Comm comm, int rank, const std::vector<std::vector<std::byte>>& outgoing,
              std::vector<std::vector<std::byte>>& incoming) {
    constexpr int tag = 7301;
    std::vector<MPI_Request> requests;
    for (std::size_t peer = 0; peer < outgoing.size(); ++peer) {
        if (static_cast<int>(peer) == rank)
            continue;
        in_pieces(std::span(incoming[peer]), [&](std::span<std::byte> piece) {
            check_mpi(MPI_Irecv(piece.data(), count_of(piece.size()), MPI_BYTE,
                                static_cast<int>(peer), tag, comm, &requests.emplace_back()),
                      "MPI_Irecv");
        });
    }
    for (std::size_t step = 1; step < outgoing.size(); ++step) {
        const std::size_t peer = (static_cast<std::size_t>(rank) + step) % outgoing.size();
        in_pieces(std::span(outgoing[peer]), [&](std::span<const std::byte> piece) {
            check_mpi(MPI_Isend(piece.data(), count_of(piece.size()), MPI_BYTE,
                                static_cast<int>(peer), tag, comm, &requests.emplace_back()),
                      "MPI_Isend");
        });
    }
    check_mpi(MPI_Waitall(count_of(requests.size()), requests.data(), MPI_STATUSES_IGNORE),
              "MPI_Waitall");
    incoming[static_cast<std::size_t>(rank)] = outgoing[static_cast<std::size_t>(rank)];
}

}  // namespace

void barrier(const Communicator& comm) {
    if (comm.size() > 1)
        check_mpi(MPI_Barrier(native_handle(comm)), "MPI_Barrier");
}

template <Element T>
void broadcast(const Communicator& comm, std::span<T> data, int root) {
    if (comm.size() > 1)
        in_pieces(data, [&](std::span<T> piece) {
            check_mpi(MPI_Bcast(piece.data(), count_of(piece.size()), datatype<T>(), root,
                                native_handle(comm)),
                      "MPI_Bcast");
        });
}

template <Element T>
void all_reduce(const Communicator& comm, std::span<T> data, Reduction reduction) {
    if (comm.size() > 1)
        in_pieces(data, [&](std::span<T> piece) {
            check_mpi(MPI_Allreduce(MPI_IN_PLACE, piece.data(), count_of(piece.size()),
                                    datatype<T>(), operation(reduction), native_handle(comm)),
                      "MPI_Allreduce");
        });
}

template <Element T>
std::vector<T> all_gather(const Communicator& comm, T value) {
    std::vector<T> values(static_cast<std::size_t>(comm.size()), value);
    if (comm.size() > 1)
        check_mpi(MPI_Allgather(&value, 1, datatype<T>(), values.data(), 1, datatype<T>(),
                                native_handle(comm)),
                  "MPI_Allgather");
    return values;
}

std::uint64_t exclusive_scan(const Communicator& comm, std::uint64_t value) {
    std::uint64_t sum = 0;
    if (comm.size() > 1)
        check_mpi(MPI_Exscan(&value, &sum, 1, MPI_UINT64_T, MPI_SUM, native_handle(comm)),
                  "MPI_Exscan");
    return comm.is_root() ? 0 : sum;  // MPI leaves rank 0's result undefined
}

std::vector<std::vector<std::byte>> all_to_all(
    const Communicator& comm, const std::vector<std::vector<std::byte>>& outgoing) {
    if (comm.size() == 1)
        return outgoing;
    std::vector<std::uint64_t> sent, received(outgoing.size());
    for (const auto& part : outgoing)
        sent.push_back(part.size());
    check_mpi(MPI_Alltoall(sent.data(), 1, MPI_UINT64_T, received.data(), 1, MPI_UINT64_T,
                           native_handle(comm)),
              "MPI_Alltoall");
    std::vector<std::vector<std::byte>> incoming;
    for (std::uint64_t size : received)
        incoming.emplace_back(size);
    exchange(native_handle(comm), comm.rank(), outgoing, incoming);
    return incoming;
}

std::vector<std::vector<std::byte>> all_gather_bytes(const Communicator& comm,
                                                     std::span<const std::byte> data) {
    const auto sizes = all_gather<std::uint64_t>(comm, data.size());
    std::vector<std::vector<std::byte>> parts;
    for (int root = 0; root < comm.size(); ++root) {
        auto& part = parts.emplace_back(sizes[static_cast<std::size_t>(root)]);
        if (root == comm.rank())
            std::copy(data.begin(), data.end(), part.begin());
        broadcast(comm, std::span(part), root);
    }
    return parts;
}

#define POPALIGN_INSTANTIATE(T)                                                \
    template void broadcast<T>(const Communicator&, std::span<T>, int);        \
    template void all_reduce<T>(const Communicator&, std::span<T>, Reduction); \
    template std::vector<T> all_gather<T>(const Communicator&, T);
POPALIGN_INSTANTIATE(std::byte)
POPALIGN_INSTANTIATE(std::uint8_t)
POPALIGN_INSTANTIATE(std::int32_t)
POPALIGN_INSTANTIATE(std::int64_t)
POPALIGN_INSTANTIATE(std::uint64_t)
POPALIGN_INSTANTIATE(float)
POPALIGN_INSTANTIATE(double)
#undef POPALIGN_INSTANTIATE

}  // namespace popalign::comm
