#pragma once

#include <cstdint>

namespace popalign {

/// Index into a model's vocabulary.
using TokenId = std::int32_t;

}  // namespace popalign
