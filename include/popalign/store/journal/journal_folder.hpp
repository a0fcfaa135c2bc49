#pragma once

#include <popalign/base/log.hpp>
#include <popalign/comm/communicator.hpp>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>

namespace popalign::store {

/// Reads all journals in a folder, each on one rank, however many ranks wrote them. `visit` gets
/// the payloads of this rank's share. Creates the folder if it does not exist. Logs damaged and
/// torn records. Collective.
void read_journal_folder(const comm::Communicator& comm, const std::filesystem::path& folder,
                         const Logger& logger,
                         const std::function<void(std::span<const std::byte>)>& visit);

/// Returns the path of the journal that this rank writes.
std::filesystem::path journal_of_rank(const comm::Communicator& comm,
                                      const std::filesystem::path& folder);

}  // namespace popalign::store
