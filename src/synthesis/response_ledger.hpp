#pragma once

#include <popalign/base/log.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/record/response.hpp>
#include <popalign/store/journal/journal.hpp>
#include <popalign/store/journal/response_index.hpp>
#include <popalign/synthesis/generation_plan.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace popalign::synthesis {

/// Totals over the answers of one generation, further attempts included.
struct AnswerTally {
    std::uint64_t answers = 0, attempts = 0, prompt_tokens = 0, answer_tokens = 0, bytes = 0;

    void add(const store::ResponseKey& key);
    double mean_prompt_tokens() const { return mean(prompt_tokens); }
    double mean_answer_tokens() const { return mean(answer_tokens); }
    double mean_bytes() const { return mean(bytes); }

  private:
    double mean(std::uint64_t sum) const {
        return answers == 0 ? 0 : static_cast<double>(sum) / static_cast<double>(answers);
    }
};

/// Sums tallies over all ranks, by generation. Collective.
std::vector<AnswerTally> sum_over_ranks(const comm::Communicator& comm,
                                        const std::vector<AnswerTally>& mine);

/// Record of a run's responses. Every rank knows all responses that earlier starts journalled, and
/// those that it adds to its own journal. A response counts as made once it is in a journal.
class ResponseLedger {
  public:
    /// Returns whether an instruction needs a generation.
    using Needs = std::function<bool(std::uint64_t instruction, std::size_t generation)>;

    /// Reads all journals in `directory`, each by one rank, and opens this rank's own. Throws
    /// AgreedError. Collective.
    ResponseLedger(const comm::Communicator& comm, const std::filesystem::path& directory,
                   std::uint64_t instructions, const GenerationPlan& plan, Needs needs,
                   const Logger& logger);
    /// Works in memory only: reads and writes no journals.
    ResponseLedger(std::uint64_t instructions, const GenerationPlan& plan, Needs needs);

    bool needs(std::uint64_t instruction, std::size_t generation) const {
        return needs_(instruction, generation);
    }
    bool is_made(std::uint64_t instruction, std::size_t generation) const {
        return made_[slot(instruction, generation)] != 0;
    }
    /// Returns whether an earlier run made it: the same on all ranks, whatever is added.
    bool was_made(std::uint64_t instruction, std::size_t generation) const {
        return made_[slot(instruction, generation)] == by_earlier_run;
    }
    /// Returns the generations that answer the turn after this one's.
    const std::vector<std::size_t>& next_turns(std::size_t generation) const {
        return next_turns_[generation];
    }
    std::uint64_t wanted() const noexcept { return wanted_; }
    std::uint64_t made_before() const noexcept { return made_before_; }  ///< by earlier runs
    std::uint64_t added() const noexcept { return added_; }              ///< by this rank
    /// Tallies by generation: of earlier runs, and of this rank's additions.
    const std::vector<AnswerTally>& earlier_tally() const noexcept { return earlier_tally_; }
    const std::vector<AnswerTally>& own_tally() const noexcept { return own_tally_; }
    /// Returns the text of a made answer; available while answers to a later turn are missing.
    std::string text(std::uint64_t instruction, std::size_t generation);

    void add(const Response& response);
    void sync();
    /// Closes the journal: it can be read in full, and nothing more can be added.
    void close();

  private:
    static constexpr std::uint8_t by_this_rank = 1, by_earlier_run = 2;

    void take_stock(const comm::Communicator& comm, const store::ResponseIndex& index);
    void locate_earlier_turns(const comm::Communicator& comm, const store::ResponseIndex& index);
    bool is_awaited(std::uint64_t instruction, std::size_t generation) const;
    std::size_t slot(std::uint64_t instruction, std::size_t generation) const {
        return static_cast<std::size_t>(instruction) * generations_ + generation;
    }

    std::size_t generations_;
    std::vector<std::vector<std::size_t>> next_turns_, later_turns_;  // by generation
    std::vector<std::uint8_t> made_;  // [instructions, generations]; 0: not made
    Needs needs_;
    std::uint64_t wanted_ = 0, made_before_ = 0, added_ = 0;
    std::vector<AnswerTally> earlier_tally_, own_tally_;
    std::map<std::size_t, store::JournalPlace>
        earlier_;  // places of awaited answers of earlier runs, by slot
    std::map<std::size_t, std::string> texts_;  // awaited answers of this run, by slot
    store::RecordReader reader_;
    std::optional<store::JournalWriter> journal_;
};

}  // namespace popalign::synthesis
