#pragma once

#include "preference/pairs/preference_evaluation.hpp"

#include <map>
#include <span>
#include <string>
#include <vector>

namespace popalign::preference {

/// Scores of a pair's two answers.
struct ScoredPair {
    std::uint64_t pair = 0;
    std::uint32_t strategy = 0;
    double chosen = 0, rejected = 0;
};

/// Accuracy of a reward model's choices, and calibration of the probability S(difference of scores)
/// that it gives them.
struct RewardFigures {
    Proportion accuracy;  ///< a tie counts as wrong
    double margin = 0;    ///< mean difference of the scores
    double log_loss = 0;  ///< mean of -log S(chosen - rejected) [nat]
    double brier = 0;     ///< mean of (1 - S(chosen - rejected))^2
    /// Mean distance of confidence and accuracy over ten equal bins of confidence from 0.5 to 1,
    /// weighted by their pairs (Naeini et al. 2015).
    double calibration_error = 0;
};
RewardFigures summarise(std::span<const ScoredPair> pairs);

struct RewardEvaluation {
    RewardFigures overall;
    std::map<std::string, RewardFigures> strategies;
    std::vector<ScoredPair> scores;  ///< ascending by pair, the same on all ranks
    std::uint64_t dropped = 0;       ///< pairs without room for an answer within the limits
};

/// Evaluates the reward model `inputs.policy`; the reference is not used. Collective.
RewardEvaluation evaluate_reward_model(const comm::Communicator& comm,
                                       const PreferenceInputs& inputs, const Logger& logger);

/// Returns `{"overall": {"n", "accuracy": {"value", "lower", "upper"}, "margin", "log_loss",
/// "brier", "calibration_error"}, "strategies": {...}, "n", "dropped"}`; intervals are Wilson's, 95
/// %.
std::string to_json(const RewardEvaluation& evaluation);

}  // namespace popalign::preference
