#pragma once

#include <popalign/base/log.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/record/response.hpp>
#include <popalign/store/journal.hpp>

#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

namespace popalign {

/// The responses of this rank's instructions: what earlier runs journalled, and what this one adds.
/// A response counts as made once it is in the journal.
class ResponseLedger {
  public:
    /// Whether an instruction needs a generation.
    using Needs = std::function<bool(std::size_t instruction, std::size_t generation)>;

    /// Reads all journals in `directory` (each by one rank, records sent to their owners) and opens
    /// this rank's own. Collective.
    ResponseLedger(const Communicator& comm, const std::filesystem::path& directory,
                   std::size_t instructions, std::size_t generations, Needs needs,
                   const Logger& logger);

    /// In memory alone: nothing is read or journalled. Collective in that ranks share the rows.
    ResponseLedger(const Communicator& comm, std::size_t instructions, std::size_t generations,
                   Needs needs);

    const Range& rows() const noexcept { return rows_; }  ///< this rank's instructions
    const std::optional<Response>& find(std::uint64_t instruction, std::size_t generation) const;
    bool needs(std::size_t instruction, std::size_t generation) const {
        return needs_(instruction, generation);
    }
    std::size_t made() const noexcept { return made_; }
    std::size_t wanted() const noexcept { return wanted_; }

    void add(const Response& response);
    void sync();
    /// All that are needed, by instruction, then generation. All must be there.
    std::vector<Response> take();

  private:
    void read_journals(const Communicator& comm, const std::filesystem::path& directory,
                       const Logger& logger);
    bool place(Response response);
    std::size_t slot(std::uint64_t instruction, std::size_t generation) const;

    std::size_t instructions_, generations_, made_ = 0, wanted_ = 0;
    Range rows_;
    Needs needs_;
    std::vector<std::optional<Response>> responses_;
    std::optional<JournalWriter> journal_;
};

}  // namespace popalign
