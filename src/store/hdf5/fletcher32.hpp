#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace popalign::store {

/// Fletcher's checksum as HDF5's filter of this name has it: over big-endian 16-bit words, an odd
/// last byte being a high one.
std::uint32_t fletcher32(std::span<const std::byte> data) noexcept;

}  // namespace popalign::store
