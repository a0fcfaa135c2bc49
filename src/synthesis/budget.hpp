#pragma once

#include "synthesis/response_ledger.hpp"
#include "synthesis/setup.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace popalign::synthesis {

/// What tokens of a model cost; 0 for one whose weights are here.
double token_cost(const lm::ModelOptions& model, std::uint64_t prompt_tokens,
                  std::uint64_t answer_tokens);

/// Keeps synthesis within `synthesis.max_budget`, over all starts of a run: costs are known from
/// the responses in the ledger, hours from a file beside the journals, which the root brings up to
/// date every minute. Ranks divide what is left of the cost, and reserve the most that a question
/// can cost before they ask it.
class Budget {
  public:
    /// `directory` is where the journals are; empty: hours are of this start alone. Throws
    /// UsageError where nothing is left. Collective.
    Budget(const comm::Communicator& comm, const SynthesisInputs& inputs,
           const SynthesisSetup& setup, const ResponseLedger& ledger,
           const std::filesystem::path& directory);

    /// Reserves the most that the question can cost, and says how much; nothing if that may pass
    /// the budget.
    std::optional<double> reserve(const std::string& model, const lm::Question& question);
    /// What was reserved for an answer is now spent or free again.
    void settle(const std::string& model, double reserved, std::uint64_t prompt_tokens,
                std::uint64_t answer_tokens);
    /// Whether the hours are not over; writes them down where it is time to.
    bool hours_left();
    /// Writes the hours down. The root's is what counts.
    void save();

  private:
    double hours_used() const;

    const SynthesisInputs& inputs_;
    const SynthesisSetup& setup_;
    std::filesystem::path file_;
    bool writes_;
    double share_ = 0, spent_ = 0, reserved_ = 0;  // cost, of this rank
    double earlier_hours_ = 0;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now(),
                                          saved_ = start_;
};

}  // namespace popalign::synthesis
