#pragma once

#include "app/command/command.hpp"
#include "app/sweep/sweep_config.hpp"

namespace popalign::app {

/// Does one part, unless it is done already, on all ranks. An error that all ranks agree on is
/// written into the part's status and leaves `failed`; the others are not touched by it.
/// Collective.
ExitStatus run_unit(const CommandContext& context, const Sweep& sweep,
                    const campaign::SweepUnit& unit);

/// All parts in order; what builds on a part that failed is passed over. Collective.
ExitStatus run_sweep(const CommandContext& context, const Sweep& sweep);

}  // namespace popalign::app
