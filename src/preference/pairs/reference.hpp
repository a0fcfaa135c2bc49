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

/// The name under /reference: a hash of all that the values depend on.
std::string reference_key(const lm::ModelIdentity& model, const TokenLimits& limits);

/// Spreads `items` over the ranks; entries of other items are NaN. Asks the deadline, if there is
/// one, every few passes; what it left out stays NaN. Collective.
CompletionLogProbabilities compute_log_probabilities(
    const comm::Communicator& comm, const lm::CausalLm& model, const PairData& data,
    std::span<const std::size_t> items, std::int64_t token_budget, const Deadline* deadline,
    const Logger& logger);

/// Where a PairData's reference values are kept and how missing ones are made.
struct ReferenceSource {
    std::filesystem::path pair_file;
    std::string key;
    std::int64_t token_budget = 2048;
    /// Asked only if values are missing.
    std::function<const lm::CausalLm&()> model;
};

/// Values from the pair file; missing ones are computed and written there. Nothing if the deadline
/// came first: what was computed is then stored. Collective.
std::optional<CompletionLogProbabilities> reference_log_probabilities(
    const comm::Communicator& comm, const PairData& data, const ReferenceSource& source,
    const Deadline* deadline, const Logger& logger);

}  // namespace popalign::preference
