#pragma once

#include <popalign/comm/collectives.hpp>

#include <cstring>
#include <type_traits>
#include <vector>

namespace popalign::preference {

/// The ranks' vectors one after the other, on all ranks. Collective.
template <class T>
requires std::is_trivially_copyable_v<T> std::vector<T> gather_all(const comm::Communicator& comm,
                                                                   const std::vector<T>& mine) {
    if (comm.size() == 1)
        return mine;
    std::vector<T> all;
    for (const auto& bytes : comm::all_gather_bytes(comm, std::as_bytes(std::span(mine)))) {
        const std::size_t count = bytes.size() / sizeof(T), before = all.size();
        all.resize(before + count);
        if (count > 0)
            std::memcpy(all.data() + before, bytes.data(), bytes.size());
    }
    return all;
}

}  // namespace popalign::preference
