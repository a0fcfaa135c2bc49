#pragma once

#include <popalign/comm/communicator.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace popalign::comm {

/// The bytes that this rank has for each peer and expects from each.
struct ExchangeSizes {
    std::vector<std::uint64_t> outgoing, incoming;
};

/// As `all_to_all`, with one peer's bytes in memory at a time: `give(peer, bytes)` fills what goes
/// to the peer, `take(peer, bytes)` gets what it sent. Both may throw, which all ranks then learn
/// (AgreedError). Collective.
void exchange_in_turn(const Communicator& comm, const ExchangeSizes& sizes,
                      const std::function<void(int, std::span<std::byte>)>& give,
                      const std::function<void(int, std::span<const std::byte>)>& take);

}  // namespace popalign::comm
