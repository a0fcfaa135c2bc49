#pragma once

#include "synthesis/budget.hpp"
#include "synthesis/response_ledger.hpp"
#include "synthesis/setup.hpp"
#include "synthesis/work_units.hpp"

#include <popalign/base/deadline.hpp>
#include <popalign/base/progress.hpp>
#include <popalign/comm/work_ledger.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace popalign::synthesis {

/// Tokens that this rank's models processed, and those needed if every pair made its own answers
/// and earlier turns.
struct TokenCount {
    std::uint64_t computed = 0, without_sharing = 0;
};

/// Work of one model on this rank; `seconds` excludes loading.
struct ModelWork {
    double load_seconds = 0, seconds = 0;
    std::uint64_t answers = 0, prompt_tokens = 0, answer_tokens = 0;  ///< over all attempts
};

/// Generation on one rank: draws work, model by model, and adds the answers to the rank's ledger.
/// Ranks of a node change models together; nodes do not wait for each other.
class Synthesizer {
  public:
    /// Collective over the leaders.
    Synthesizer(const SynthesisInputs& inputs, const SynthesisSetup& setup, ResponseLedger& ledger,
                Budget& budget, const Deadline& deadline, const lm::ModelRanks& ranks);

    /// Tokens of this run of the program.
    TokenCount tokens() const { return tokens_; }
    /// Work by model; models without work have no entry.
    const std::map<std::string, ModelWork>& work() const noexcept { return work_; }

    /// Makes all missing answers; stops early at the deadline or the budget. If one rank fails, no
    /// rank begins new work. Throws AgreedError. Collective over the leaders.
    void run();

  private:
    struct Item {
        std::uint64_t instruction;
        std::size_t generation;
        auto operator<=>(const Item&) const = default;
    };
    /// Resources used by an item's attempts that lacked the required format.
    struct Spent {
        std::uint32_t attempts = 0;
        std::uint64_t prompt_tokens = 0, answer_tokens = 0;
    };
    /// A pending question, with its reservation in the budget.
    struct Asked {
        Item item;
        RandomStream stream;
        double reserved;
    };
    class Phase;

    std::unique_ptr<lm::ModelSession> open(const std::string& model);
    void answer_all(const std::string& model, lm::ModelSession& session, Phase& phase);
    bool may_go_on();
    std::optional<lm::Question> ask(const std::string& model, const Item& item);
    std::vector<std::string> earlier_answers(const Item& item);
    void record(const Asked& asked, lm::Answer answer);

    const SynthesisInputs& inputs_;
    const SynthesisSetup& setup_;
    ResponseLedger& ledger_;
    Budget& budget_;
    const Deadline& deadline_;
    lm::ModelRanks ranks_;
    WorkUnits units_;
    comm::WorkLedger work_ledger_;
    Progress progress_;
    std::vector<std::vector<std::size_t>> users_;
    std::map<Item, Spent> unparsed_;
    std::deque<Asked> asked_;  // for the current model, by the number of the question
    TokenCount tokens_;
    std::map<std::string, ModelWork> work_;
    std::size_t unsynced_ = 0;
};

}  // namespace popalign::synthesis
