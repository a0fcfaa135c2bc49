#include "store/hdf5/fletcher32.hpp"

#include <popalign/base/vector_levels.hpp>

#include <algorithm>
#include <cstring>

namespace popalign::store {
namespace {

constexpr std::uint64_t modulus = 65535;

/// HDF5 folds carries instead of dividing, which leaves 65535 where the remainder is 0.
std::uint32_t folded(std::uint64_t sum) noexcept {
    const auto rest = static_cast<std::uint32_t>(sum % modulus);
    return rest == 0 && sum != 0 ? static_cast<std::uint32_t>(modulus) : rest;
}

}  // namespace

POPALIGN_VECTOR_LEVELS
std::uint32_t fletcher32(std::span<const std::byte> data) noexcept {
    // The running sum of sums is a weighted sum over a block, which compilers vectorise.
    constexpr std::size_t block = 128;
    const std::size_t words = data.size() / 2;
    std::uint64_t first = 0, second = 0;
    for (std::size_t begin = 0; begin < words; begin += block) {
        const std::size_t count = std::min(block, words - begin);
        std::uint16_t values[block];
        std::memcpy(values, data.data() + 2 * begin, 2 * count);
        std::uint32_t plain = 0, weighted = 0;
        for (std::size_t i = 0; i < count; ++i) {
            const std::uint32_t word = (values[i] & 0xFFU) << 8 | values[i] >> 8;
            plain += word;
            weighted += static_cast<std::uint32_t>(count - i) * word;
        }
        second += count * first + weighted;
        first += plain;
        if (second >= std::uint64_t{1} << 60)
            second = folded(second);
        first = folded(first);
    }
    if (data.size() % 2 != 0) {
        first += static_cast<std::uint64_t>(data.back()) << 8;
        second += first;
    }
    return folded(second) << 16 | folded(first);
}

}  // namespace popalign::store
