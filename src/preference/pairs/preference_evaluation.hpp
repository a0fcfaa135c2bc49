#pragma once

#include "preference/data/pair_data.hpp"
#include "preference/objective/objective.hpp"

#include <popalign/base/log.hpp>
#include <popalign/base/statistics.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/lm/backends/model_options.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace popalign::preference {

struct PreferenceInputs {
    std::filesystem::path pair_file;
    lm::ModelOptions policy, reference;  ///< an empty reference path: the policy itself
    std::string device = "auto";
    PairSelection selection{Split::held_out, {}, {}};
    TokenLimits limits;
    double beta = 0.01;
    std::int64_t micro_batch_tokens = 2048;
};

struct Proportion {
    std::uint64_t successes = 0, n = 0;

    double value() const noexcept;
    Interval interval() const noexcept;
};

/// A policy on held-out pairs. A tie is wrong in both accuracies.
struct PreferenceFigures {
    /// Implicit reward beta * (policy - reference) of the chosen above that of the rejected answer;
    /// 0 by definition where the policy is the reference.
    Proportion reward_accuracy;
    double loss = 0;           ///< DPO's, mean of -log sigmoid(beta * margin) [nat]
    double reward_margin = 0;  ///< mean difference of the implicit rewards
    /// Log-probability a token of the chosen above that of the rejected answer: needs no reference,
    /// so that a model before and after training can be compared.
    Proportion logps_accuracy;
};

struct PreferenceEvaluation {
    PreferenceFigures overall;
    std::map<std::string, PreferenceFigures> strategies;
    std::vector<PairScore> scores;  ///< ascending by pair, the same on all ranks
    std::uint64_t dropped = 0;      ///< pairs whose answers had no room within the limits
};

PreferenceFigures summarise(std::span<const PairScore> scores, double beta);

/// Reference values are taken from the pair file, and added to it where missing. Collective.
PreferenceEvaluation evaluate_preference(const comm::Communicator& comm,
                                         const PreferenceInputs& inputs, const Logger& logger);

/// `{"overall": {"n", "reward_accuracy": {"value", "lower", "upper"}, "reward_margin",
/// "logps_accuracy": {...}}, "strategies": {...}, "n", "dropped"}`; intervals are Wilson's, 95 %.
std::string to_json(const PreferenceEvaluation& evaluation);

}  // namespace popalign::preference
