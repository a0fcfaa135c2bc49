#pragma once

#include <popalign/base/log.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/lm/judge/judging.hpp>
#include <popalign/store/journal/journal.hpp>

#include <optional>
#include <string>
#include <unordered_map>

namespace popalign::lm {

/// The rank that judges a showing: all of an instruction go to one, for they share their beginning.
int judging_rank(const Showing& showing, int ranks);

/// SHA-256 of what the judge is and what it is shown.
std::string content_key(const JudgeKey& judge, const Showing& showing);

/// This rank's share of all judgements in a folder of journals, and its own journal there.
class JudgementCache {
  public:
    /// Reads all journals in `folder`, each by one rank, and opens this rank's; with an empty
    /// `folder` it remembers for as long as it lives. Collective.
    JudgementCache(const comm::Communicator& comm, const std::filesystem::path& folder,
                   const Logger& logger);

    /// Null if it is not there.
    const Judgement* find(const std::string& key) const;
    void add(const std::string& key, const Showing& showing, Judgement judgement);
    void sync();

  private:
    void read_journals(const comm::Communicator& comm, const std::filesystem::path& folder,
                       const Logger& logger);

    std::unordered_map<std::string, Judgement> judgements_;
    std::optional<store::JournalWriter> journal_;
};

}  // namespace popalign::lm
