#pragma once

#include "synthesis/response_ledger.hpp"
#include "synthesis/setup.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace popalign::synthesis {

/// Returns the cost of a model's tokens; 0 for a model whose weights are on this machine.
double token_cost(const lm::ModelOptions& model, std::uint64_t prompt_tokens,
                  std::uint64_t answer_tokens);

/// Keeps synthesis within `synthesis.max_budget` over all starts of a run. Past costs come from the
/// responses in the ledger, past hours from a file beside the journals, which the root updates
/// every minute. Ranks divide the remaining cost, and reserve the most that a question can cost
/// before they ask it.
class Budget {
  public:
    /// `directory` is the journals' folder; empty: only the hours of this start count. Throws
    /// UsageError if no budget is left. Collective.
    Budget(const comm::Communicator& comm, const SynthesisInputs& inputs,
           const SynthesisSetup& setup, const ResponseLedger& ledger,
           const std::filesystem::path& directory);

    /// Reserves the most that the question can cost and returns it; nothing if that would exceed
    /// the budget.
    std::optional<double> reserve(const std::string& model, const lm::Question& question);
    /// Replaces an answer's reservation by its real cost.
    void settle(const std::string& model, double reserved, std::uint64_t prompt_tokens,
                std::uint64_t answer_tokens);
    /// Returns whether hours are left. Saves the hours used, at most once a minute.
    bool hours_left();
    /// Saves the hours used; only the root writes.
    void save();

  private:
    double hours_used() const;

    const SynthesisInputs& inputs_;
    const SynthesisSetup& setup_;
    std::filesystem::path file_;
    bool writes_;
    double share_ = 0, spent_ = 0, reserved_ = 0;  // cost of this rank
    double earlier_hours_ = 0;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now(),
                                          saved_ = start_;
};

}  // namespace popalign::synthesis
