#pragma once

#include "preference/objective/dual_number.hpp"
#include "preference/objective/objective.hpp"

#include <span>
#include <string_view>

namespace popalign::preference {

/// Arguments of an objective's formula.
struct ObjectiveTerms {
    const ObjectiveOptions& options;
    const PairScore& pair;
    const BatchContext& batch;
    BatchContext::Match match = {};
    Dual chosen = {}, rejected = {};              ///< log pi(y|x), or scores
    Dual chosen_ratio = {}, rejected_ratio = {};  ///< log pi(y|x) - log ref(y|x)
    Dual chosen_score = {}, rejected_score = {};  ///< f'(pi/ref); for reverse_kl the log ratio
    Dual chosen_mean = {}, rejected_mean = {};    ///< log pi(y|x) per token
};

/// Requirements and properties of an objective, as bits.
enum ObjectiveTrait : unsigned {
    on_reference = 1,
    on_rejected = 2,
    on_f_divergence = 4,  ///< built on the score, so works with any f-divergence
    on_matches = 8,
    on_divergence = 16,
    on_reward_scores = 32,
    may_vanish = 64  ///< the loss of a pair can be 0 or less
};

/// Quantity reported as a pair's rewards.
enum class RewardKind { log_ratio, log_probability, mean_log_probability, score };

struct ObjectiveRow {
    std::string_view name;
    Dual (*formula)(const ObjectiveTerms&);
    unsigned traits;
    RewardKind reward = RewardKind::log_ratio;
};

std::span<const ObjectiveRow> objective_table();

}  // namespace popalign::preference
