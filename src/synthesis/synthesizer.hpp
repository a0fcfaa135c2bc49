#pragma once

#include "synthesis/budget.hpp"
#include "synthesis/response_ledger.hpp"
#include "synthesis/setup.hpp"

#include <popalign/base/deadline.hpp>
#include <popalign/base/progress.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace popalign {

/// Tokens that went through a model here, and that would have if every pair made both of its
/// answers, and the turns before them, for itself.
struct TokenCount {
    std::uint64_t computed = 0, without_sharing = 0;
};

/// What one model did here, loading apart.
struct ModelWork {
    double load_seconds = 0, seconds = 0;
    std::uint64_t answers = 0, prompt_tokens = 0, answer_tokens = 0;  ///< of all attempts
};

/// One rank's generating: fills its ledger model by model, turn by turn.
class Synthesizer {
  public:
    Synthesizer(const SynthesisInputs& inputs, const SynthesisSetup& setup, ResponseLedger& ledger,
                Budget& budget, const Deadline& deadline);

    /// Of this run of the program.
    TokenCount tokens() const { return tokens_; }
    /// By model; of those that had nothing to do, nothing.
    const std::map<std::string, ModelWork>& work() const noexcept { return work_; }

    /// Returns before everything is made if the deadline or the budget is reached. Collective over
    /// the leaders.
    void run(const ModelRanks& ranks);

  private:
    struct Item {
        std::size_t instruction, generation;
        auto operator<=>(const Item&) const = default;
    };
    /// What attempts at an item that came without the asked-for format have used.
    struct Spent {
        std::uint32_t attempts = 0;
        std::uint64_t prompt_tokens = 0, answer_tokens = 0;
    };

    std::vector<Item> missing(const std::string& model) const;
    std::vector<std::string> earlier_answers(const Item& item) const;
    void answer_all(const std::string& model, Answerer& answerer);
    bool may_go_on();
    void generate(const std::string& model, Answerer& answerer, const std::vector<Item>& items);
    void record(const Item& item, const Question& question, Answer answer);

    const SynthesisInputs& inputs_;
    const SynthesisSetup& setup_;
    ResponseLedger& ledger_;
    Budget& budget_;
    const Deadline& deadline_;
    Progress progress_;
    std::vector<std::vector<std::size_t>> users_;
    std::map<Item, Spent> unparsed_;
    TokenCount tokens_;
    std::map<std::string, ModelWork> work_;
    std::size_t unsynced_ = 0;
};

}  // namespace popalign
