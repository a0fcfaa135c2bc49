#pragma once

#include "preference/data/pair_data.hpp"
#include "preference/objective/objective.hpp"

#include <popalign/base/log.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>
#include <popalign/preference/options/train_inputs.hpp>

namespace popalign::preference {

/// Opens a run's training pairs, without the rejected answers if the objective uses none.
/// Collective.
PairData open_training_pairs(const comm::Communicator& comm, const TrainInputs& inputs,
                             const lm::ModelFrontEnd& front_end, const Objective& objective,
                             const Logger& logger);

/// Opens the held-out pairs for a run with these inputs. Collective.
PairData open_held_out_pairs(const comm::Communicator& comm, const TrainInputs& inputs,
                             const lm::ModelFrontEnd& front_end, const Logger& logger);

/// Throws UsageError if there are no pairs.
void require_pairs(const PairData& data);

}  // namespace popalign::preference
