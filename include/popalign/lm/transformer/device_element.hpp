#pragma once

#include <popalign/comm/device_group.hpp>

#include <c10/core/ScalarType.h>

namespace popalign::lm {

/// Returns the element type for `comm::DeviceGroup`. Throws Error for a type that it does not
/// support.
comm::DeviceElement device_element(c10::ScalarType type);

}  // namespace popalign::lm
