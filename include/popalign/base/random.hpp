#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace popalign {

/// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): four random
/// words as a pure function of a 128-bit counter and a 64-bit key.
std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key) noexcept;

/// Returns a 64-bit hash of a text, the same on every machine: FNV-1a followed by a finaliser.
std::uint64_t stable_hash(std::string_view text, std::uint64_t seed = 0) noexcept;

/// Counter-based random stream. The draw at `position` of the stream (`seed`, `item`, `purpose`) is
/// the same on every rank and in every run, independent of the order of draws.
class RandomStream {
  public:
    RandomStream(std::uint64_t seed, std::string_view item, std::string_view purpose) noexcept;

    /// Returns a uniform draw in [0, 1) with 53 random bits.
    double uniform(std::uint64_t position) const noexcept;
    std::uint64_t bits(std::uint64_t position) const noexcept;
    /// Identifier of this stream in files.
    std::uint64_t key() const noexcept { return key_; }

  private:
    std::uint64_t key_;
    std::uint64_t item_;
};

}  // namespace popalign
