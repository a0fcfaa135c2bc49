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
    lm::ModelOptions policy, reference;  ///< empty reference path: the policy itself
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

/// Figures of a policy on held-out pairs. A tie counts as wrong in both accuracies.
struct PreferenceFigures {
    /// Pairs whose chosen answer has the higher implicit reward beta * (policy - reference); 0 if
    /// the policy is the reference.
    Proportion reward_accuracy;
    double loss = 0;           ///< DPO's, mean of -log sigmoid(beta * margin) [nat]
    double reward_margin = 0;  ///< mean difference of the implicit rewards
    /// Pairs whose chosen answer has the higher log-probability per token. It needs no reference,
    /// so a model before and after training can be compared.
    Proportion logps_accuracy;
};

struct PreferenceEvaluation {
    PreferenceFigures overall;
    std::map<std::string, PreferenceFigures> strategies;
    std::vector<PairScore> scores;  ///< ascending by pair, the same on all ranks
    std::uint64_t dropped = 0;      ///< pairs without room for an answer within the limits
};

PreferenceFigures summarise(std::span<const PairScore> scores, double beta);

/// Evaluates a policy. Takes reference values from the pair file, and adds missing ones to it.
/// Collective.
PreferenceEvaluation evaluate_preference(const comm::Communicator& comm,
                                         const PreferenceInputs& inputs, const Logger& logger);

/// Returns `{"overall": {"n", "reward_accuracy": {"value", "lower", "upper"}, "reward_margin",
/// "logps_accuracy": {...}}, "strategies": {...}, "n", "dropped"}`; intervals are Wilson's, 95 %.
std::string to_json(const PreferenceEvaluation& evaluation);

}  // namespace popalign::preference
