#pragma once

#include "app/command/command.hpp"
#include "app/command/config.hpp"

#include <popalign/campaign/cost.hpp>

#include <functional>
#include <string>

namespace popalign::app {

/// Runs a stage and appends its cost to cost.jsonl in the run's directory, also if it stopped at
/// the deadline. `count` fills in tokens at the end; only rank 0 calls it. Collective.
ExitStatus with_cost(const CommandContext& context, const Config& config, const std::string& stage,
                     const std::function<ExitStatus()>& body,
                     const std::function<void(campaign::StageCost&)>& count = {});

}  // namespace popalign::app
