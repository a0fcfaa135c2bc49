#pragma once

#include <popalign/comm/communicator.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

namespace popalign::comm {

enum class Reduction { sum, minimum, maximum };

/// Element type of collectives. Counts come from spans and may exceed INT_MAX: longer data are sent
/// in parts.
template <class T>
concept Element = std::same_as<T, std::byte> || std::same_as<T, std::uint8_t> ||
    std::same_as<T, std::int32_t> || std::same_as<T, std::int64_t> ||
    std::same_as<T, std::uint64_t> || std::same_as<T, float> || std::same_as<T, double>;

/// All functions here are collective over `comm`. On one rank they only copy.
void barrier(const Communicator& comm);

template <Element T>
void broadcast(const Communicator& comm, std::span<T> data, int root = 0);

/// In place: afterwards `data` holds the element-wise reduction over all ranks, on all ranks.
template <Element T>
void all_reduce(const Communicator& comm, std::span<T> data, Reduction reduction);

template <Element T>
T all_reduce(const Communicator& comm, T value, Reduction reduction) {
    all_reduce(comm, std::span<T>(&value, 1), reduction);
    return value;
}

/// Returns one value from each rank, in rank order, on all ranks.
template <Element T>
std::vector<T> all_gather(const Communicator& comm, T value);

/// Returns the sum of `value` over the ranks before this one; 0 on rank 0.
std::uint64_t exclusive_scan(const Communicator& comm, std::uint64_t value);

/// Sends `outgoing[r]` to rank r. Returns the bytes received from each rank, in rank order.
std::vector<std::vector<std::byte>> all_to_all(const Communicator& comm,
                                               const std::vector<std::vector<std::byte>>& outgoing);

/// Returns the bytes of every rank, in rank order, on all ranks; lengths may differ.
std::vector<std::vector<std::byte>> all_gather_bytes(const Communicator& comm,
                                                     std::span<const std::byte> data);

/// Returns the values of all ranks, concatenated in rank order, on all ranks.
template <class T>
requires std::is_trivially_copyable_v<T> std::vector<T> all_gather_values(
    const Communicator& comm, const std::vector<T>& mine) {
    if (comm.size() == 1)
        return mine;
    std::vector<T> all;
    for (const auto& bytes : all_gather_bytes(comm, std::as_bytes(std::span(mine)))) {
        const std::size_t before = all.size();
        all.resize(before + bytes.size() / sizeof(T));
        if (!bytes.empty())
            std::memcpy(all.data() + before, bytes.data(), bytes.size());
    }
    return all;
}

}  // namespace popalign::comm
