#pragma once

#include "preference/data/pair_data.hpp"

#include <popalign/base/deadline.hpp>
#include <popalign/base/log.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/lm/checkpoint/model_identity.hpp>
#include <popalign/lm/transformer/causal_lm.hpp>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace popalign::preference {

/// log P(completion | prompt) by item of a PairData, summed over tokens [nat]; or a reward model's
/// scores.
struct CompletionLogProbabilities {
    std::vector<double> chosen, rejected;
};

/// Returns the name under /reference: a hash of everything that the values depend on.
std::string reference_key(const lm::ModelIdentity& model, const TokenLimits& limits);

/// Computes values of `items`, spread over the ranks; entries of other items are NaN. Checks the
/// deadline every few passes and leaves the rest NaN; `deadline` may be null. Collective.
CompletionLogProbabilities compute_log_probabilities(
    const comm::Communicator& comm, const lm::CausalLm& model, const PairData& data,
    std::span<const std::size_t> items, std::int64_t token_budget, const Deadline* deadline,
    const Logger& logger);

/// Source of a PairData's reference values: a pair file, and a model for missing ones.
struct ReferenceSource {
    std::filesystem::path pair_file;
    std::string key;
    std::int64_t token_budget = 2048;
    /// Called only if values are missing.
    std::function<const lm::CausalLm&()> model;
};

/// Reads values from the pair file; computes missing ones and writes them there. Returns nothing if
/// the deadline came first; values computed so far are stored. Collective.
std::optional<CompletionLogProbabilities> reference_log_probabilities(
    const comm::Communicator& comm, const PairData& data, const ReferenceSource& source,
    const Deadline* deadline, const Logger& logger);

}  // namespace popalign::preference
