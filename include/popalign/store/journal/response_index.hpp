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

/// Location of a response in the journals.
struct JournalPlace {
    std::uint64_t offset = 0;  ///< of the record's payload
    std::uint32_t bytes = 0;
    std::uint32_t journal = 0;  ///< row of `ResponseIndex::journals`
};

struct IndexedResponse {
    ResponseKey key;
    JournalPlace place;
};

/// Index of the responses in the journals of a directory, without their texts. Each rank reads its
/// share of the files, checks all checksums and keeps the locations (64 bytes per response). Only
/// rank 0 lists the directory.
class ResponseIndex {
  public:
    /// State of the writers. Torn ends are logged only if they are `gone`: journals of a running
    /// job have some.
    enum class Writers { gone, at_work };

    /// Reads the index. Throws AgreedError, e.g. for a response whose instruction or generation is
    /// out of range. Collective.
    ResponseIndex(const comm::Communicator& comm, const std::filesystem::path& directory,
                  std::uint64_t instructions, std::uint32_t generations, Writers writers,
                  const Logger& logger);

    /// Responses in this rank's share of the journals. A response may occur twice.
    const std::vector<IndexedResponse>& responses() const noexcept { return responses_; }
    /// Paths of all journals.
    const std::vector<std::string>& journals() const noexcept { return journals_; }

  private:
    void read(std::size_t journal, Writers writers, const Logger& logger);

    std::uint64_t instructions_;
    std::uint32_t generations_;
    std::vector<std::string> journals_;
    std::vector<IndexedResponse> responses_;
};

/// Returns the path of the journal that a rank appends to.
std::filesystem::path journal_path(const std::filesystem::path& directory, int rank);

/// Reads records by their location. Opens a journal at its first use.
class RecordReader {
  public:
    explicit RecordReader(std::vector<std::string> journals) : journals_(std::move(journals)) {}

    /// Fills `record`, whose size must be `place.bytes`.
    void read(const JournalPlace& place, std::span<std::byte> record);

  private:
    std::vector<std::string> journals_;
    std::map<std::uint32_t, JournalReader> open_;
};

}  // namespace popalign::store
