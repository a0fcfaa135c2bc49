#pragma once

#include "app/command/command.hpp"
#include "app/command/config.hpp"

#include <popalign/preference/options/train_inputs.hpp>

#include <filesystem>

namespace popalign::app {

/// Runs a stage as configured, on all ranks; called by the command of the same name and by `sweep`.
/// Collective.
ExitStatus run_synthesize_stage(const CommandContext& context, const Config& config);
ExitStatus run_judge_stage(const CommandContext& context, const Config& config);
ExitStatus run_train_stage(const CommandContext& context, const Config& config,
                           preference::TrainGoal goal);

/// Model that an evaluation measures, and the file for its figures.
struct EvaluationTarget {
    lm::ModelOptions model;
    std::filesystem::path output;
};
ExitStatus run_preference_stage(const CommandContext& context, const Config& config,
                                const EvaluationTarget& target);
ExitStatus run_win_rate_stage(const CommandContext& context, const Config& config,
                              const EvaluationTarget& target);

}  // namespace popalign::app
