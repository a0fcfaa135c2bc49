#pragma once

#include <popalign/base/log.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/store/journal/journal.hpp>
#include <popalign/store/journal/response_record.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace popalign::store {

/// Where a response stands in the journals.
struct JournalPlace {
    std::uint64_t offset = 0;  ///< of the record's payload
    std::uint32_t bytes = 0;
    std::uint32_t journal = 0;  ///< row of `ResponseIndex::journals`
};

struct IndexedResponse {
    ResponseKey key;
    JournalPlace place;
};

/// What is in the journals of a directory, without the answers: each rank reads its share of the
/// files, checks every checksum and keeps where things are (64 bytes a response). Rank 0 alone
/// looks into the directory.
class ResponseIndex {
  public:
    /// Whether torn ends are worth a word: the journals of a run that goes on have some.
    enum class Writers { gone, at_work };

    /// Throws AgreedError, e.g. for a response that no run of this size made. Collective.
    ResponseIndex(const comm::Communicator& comm, const std::filesystem::path& directory,
                  std::uint64_t instructions, std::uint32_t generations, Writers writers,
                  const Logger& logger);

    /// Of this rank's share of the journals; a response may be there twice.
    const std::vector<IndexedResponse>& responses() const noexcept { return responses_; }
    /// All ranks' journals.
    const std::vector<std::string>& journals() const noexcept { return journals_; }

  private:
    void read(std::size_t journal, Writers writers, const Logger& logger);

    std::uint64_t instructions_;
    std::uint32_t generations_;
    std::vector<std::string> journals_;
    std::vector<IndexedResponse> responses_;
};

/// The journal that a rank appends to.
std::filesystem::path journal_path(const std::filesystem::path& directory, int rank);

/// Fetches records by their places, from journals that it opens when it needs them.
class RecordReader {
  public:
    explicit RecordReader(std::vector<std::string> journals) : journals_(std::move(journals)) {}

    /// `record` has the size that the place says.
    void read(const JournalPlace& place, std::span<std::byte> record);

  private:
    std::vector<std::string> journals_;
    std::map<std::uint32_t, JournalReader> open_;
};

}  // namespace popalign::store
