#pragma once

#include <popalign/base/error.hpp>
#include <popalign/comm/collectives.hpp>

#include <boost/archive/binary_iarchive.hpp>
#include <boost/archive/binary_oarchive.hpp>
#include <boost/serialization/string.hpp>
#include <boost/serialization/vector.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <vector>

namespace boost::serialization {

/// Boost 1.74 to 1.83 serialise boost::optional only.
template <class Archive, class T>
void serialize(Archive& archive, std::optional<T>& value, unsigned) {
    bool present = value.has_value();
    archive& present;
    if (present)
        archive&(value ? *value : value.emplace());
    else
        value.reset();
}

}  // namespace boost::serialization

namespace popalign::comm {

/// Returns `value` as bytes, for ranks of the same build and for journals. T is any type that
/// Boost.Serialization supports.
template <class T>
std::vector<std::byte> to_bytes(const T& value) {
    std::ostringstream stream(std::ios::binary);
    {
        boost::archive::binary_oarchive archive(stream, boost::archive::no_header);
        archive << value;
    }
    const std::string text = std::move(stream).str();
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

/// Inverse of `to_bytes`. Throws Error if `bytes` cannot be read as a T.
template <class T>
T from_bytes(std::span<const std::byte> bytes) {
    std::istringstream stream(
        std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()), std::ios::binary);
    try {
        boost::archive::binary_iarchive archive(stream, boost::archive::no_header);
        T value{};
        archive >> value;
        return value;
    } catch (const std::exception& error) {
        throw Error(std::string("a serialised record cannot be read (") + error.what() +
                    "); it was written by another version or is damaged");
    }
}

/// Returns root's value on every rank. Collective.
template <class T>
T broadcast_object(const Communicator& comm, T value, int root = 0) {
    if (comm.size() == 1)
        return value;
    std::vector<std::byte> bytes;
    if (comm.rank() == root)
        bytes = to_bytes(value);
    std::uint64_t size = bytes.size();
    broadcast(comm, std::span(&size, 1), root);
    bytes.resize(size);
    broadcast(comm, std::span(bytes), root);
    return comm.rank() == root ? value : from_bytes<T>(bytes);
}

/// Returns the values of all ranks, in rank order, on all ranks. Collective.
template <class T>
std::vector<T> all_gather_objects(const Communicator& comm, const T& value) {
    std::vector<T> values;
    for (const auto& bytes : all_gather_bytes(comm, to_bytes(value)))
        values.push_back(from_bytes<T>(bytes));
    return values;
}

/// Sends `outgoing[r]` to rank r. Returns the values received from each rank, in rank order.
/// Collective.
template <class T>
std::vector<T> all_to_all_objects(const Communicator& comm, const std::vector<T>& outgoing) {
    std::vector<std::vector<std::byte>> bytes;
    for (const T& value : outgoing)
        bytes.push_back(to_bytes(value));
    std::vector<T> incoming;
    for (const auto& part : all_to_all(comm, bytes))
        incoming.push_back(from_bytes<T>(part));
    return incoming;
}

}  // namespace popalign::comm
