#pragma once

#include "app/command/command.hpp"
#include "app/command/config.hpp"

#include <popalign/campaign/cost.hpp>

#include <functional>
#include <string>

namespace popalign::app {

/// Runs a stage and adds what it used to cost.jsonl of the run's directory, also where it stopped
/// at the deadline. `count` fills in tokens once it is done; rank 0 asks it. Collective.
ExitStatus with_cost(const CommandContext& context, const Config& config, const std::string& stage,
                     const std::function<ExitStatus()>& body,
                     const std::function<void(campaign::StageCost&)>& count = {});

}  // namespace popalign::app
