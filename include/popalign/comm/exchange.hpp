#pragma once

#include <popalign/comm/communicator.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace popalign::comm {

/// Number of bytes that this rank sends to each peer and receives from each.
struct ExchangeSizes {
    std::vector<std::uint64_t> outgoing, incoming;
};

/// As `all_to_all`, with the bytes of one peer in memory at a time. `give(peer, bytes)` fills the
/// bytes for a peer, `take(peer, bytes)` gets the bytes from it. If either throws on any rank, all
/// ranks throw AgreedError. Collective.
void exchange_in_turn(const Communicator& comm, const ExchangeSizes& sizes,
                      const std::function<void(int, std::span<std::byte>)>& give,
                      const std::function<void(int, std::span<const std::byte>)>& take);

}  // namespace popalign::comm
