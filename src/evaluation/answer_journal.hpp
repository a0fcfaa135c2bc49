#pragma once

#include <popalign/base/log.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/store/journal/journal.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace popalign::evaluation {

/// Benchmark answers by the SHA-256 of what makes them: an answer that a journal holds is not made
/// again, on however many ranks.
class AnswerJournal {
  public:
    /// Reads what is there and opens this rank's journal. Collective.
    AnswerJournal(const comm::Communicator& comm, const std::filesystem::path& folder,
                  const Logger& logger);

    /// What an earlier run made, in the order of `keys`. Collective.
    std::vector<std::optional<std::string>> find(std::span<const std::string> keys) const;
    void add(const std::string& key, const std::string& text);
    void sync() { journal_.sync(); }

  private:
    comm::Communicator comm_;
    std::unordered_map<std::string, std::string> texts_;  ///< this rank's share of all
    store::JournalWriter journal_;
    std::uint64_t unsynced_ = 0;
};

}  // namespace popalign::evaluation
