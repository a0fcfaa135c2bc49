#pragma once

#include <popalign/comm/device_group.hpp>

#include <c10/core/ScalarType.h>

namespace popalign::lm {

/// Throws Error for a type that NCCL groups do not move.
comm::DeviceElement device_element(c10::ScalarType type);

}  // namespace popalign::lm
