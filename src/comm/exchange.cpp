#include "comm/native.hpp"

#include <popalign/base/error.hpp>
#include <popalign/comm/exchange.hpp>
#include <popalign/comm/run.hpp>

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

namespace popalign::comm {
namespace {

/// MPI counts are int; larger spans go in pieces. `call(data, count, request)` for each.
template <class Byte, class Call>
void in_pieces(std::span<Byte> data, std::vector<MPI_Request>& requests, Call&& call) {
    constexpr std::size_t largest = std::size_t{1} << 30;
    for (std::size_t begin = 0; begin < data.size(); begin += largest)
        call(data.data() + begin, static_cast<int>(std::min(largest, data.size() - begin)),
             &requests.emplace_back());
}

/// Both at once: neither waits for the other's end. Empty spans are not sent.
void send_and_receive(MPI_Comm comm, int to, std::span<const std::byte> sent, int from,
                      std::span<std::byte> received) {
    constexpr int tag = 7302;
    std::vector<MPI_Request> requests;
    in_pieces(received, requests, [&](std::byte* data, int count, MPI_Request* request) {
        check_mpi(MPI_Irecv(data, count, MPI_BYTE, from, tag, comm, request), "MPI_Irecv");
    });
    in_pieces(sent, requests, [&](const std::byte* data, int count, MPI_Request* request) {
        check_mpi(MPI_Isend(data, count, MPI_BYTE, to, tag, comm, request), "MPI_Isend");
    });
    check_mpi(MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE),
              "MPI_Waitall");
}

}  // namespace

void exchange_in_turn(const Communicator& comm, const ExchangeSizes& sizes,
                      const std::function<void(int, std::span<std::byte>)>& give,
                      const std::function<void(int, std::span<const std::byte>)>& take) {
    std::optional<Error> failure;
    const auto attempt = [&](auto&& work) {
        try {
            if (!failure)
                work();
        } catch (const std::exception& error) {  // the others wait for what this rank sends
            failure = Error(error.what());
        }
    };
    std::vector<std::byte> sent, received;
    for (int step = 0; step < comm.size(); ++step) {
        const int to = (comm.rank() + step) % comm.size();
        const int from = (comm.rank() - step + comm.size()) % comm.size();
        sent.resize(sizes.outgoing[static_cast<std::size_t>(to)]);
        received.resize(sizes.incoming[static_cast<std::size_t>(from)]);
        attempt([&] { give(to, sent); });
        if (step == 0)
            std::swap(sent, received);
        else
            send_and_receive(native_handle(comm), to, sent, from, received);
        attempt([&] { take(from, received); });
    }
    agree_on_failure(comm, failure);
}

}  // namespace popalign::comm
