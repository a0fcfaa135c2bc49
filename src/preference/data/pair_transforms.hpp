#pragma once

#include "preference/data/pair_data.hpp"

namespace popalign::preference {

/// Returns the pairs without their rejected answers.
PairData chosen_only(PairData data);

/// Returns each pair's prompt with both answers of the nearest earlier pair (cyclically) of another
/// instruction. They serve to estimate a policy's divergence from its reference on mismatched
/// answers. Rows and strategies are the prompt's. Throws UsageError if all pairs are of one
/// instruction.
PairData mismatched(const PairData& data);

}  // namespace popalign::preference
