#pragma once

#include "preference/data/pair_data.hpp"

namespace popalign::preference {

/// The same pairs without their rejected answers.
PairData chosen_only(PairData data);

/// Each pair's prompt with both answers of the nearest earlier pair (around the end) of another
/// instruction: what tells how far a policy is from its reference on answers that were not given.
/// Rows and strategies are the prompt's. Throws UsageError if all pairs are of one instruction.
PairData mismatched(const PairData& data);

}  // namespace popalign::preference
