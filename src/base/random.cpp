#include <popalign/base/random.hpp>

namespace popalign {

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key) noexcept {
    constexpr std::uint64_t multiplier0 = 0xD2511F53, multiplier1 = 0xCD9E8D57;
    constexpr std::uint32_t weyl0 = 0x9E3779B9, weyl1 = 0xBB67AE85;
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t product0 = multiplier0 * counter[0];
        const std::uint64_t product1 = multiplier1 * counter[2];
        counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
                   static_cast<std::uint32_t>(product1),
                   static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
                   static_cast<std::uint32_t>(product0)};
        key[0] += weyl0;
        key[1] += weyl1;
    }
    return counter;
}

std::uint64_t stable_hash(std::string_view text, std::uint64_t seed) noexcept {
    std::uint64_t hash = 0xCBF29CE484222325ULL ^ seed;
    for (const char byte : text)
        hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001B3ULL;
    // FNV alone mixes the last bytes badly; splitmix64's finaliser spreads them.
    hash = (hash ^ (hash >> 30)) * 0xBF58476D1CE4E5B9ULL;
    hash = (hash ^ (hash >> 27)) * 0x94D049BB133111EBULL;
    return hash ^ (hash >> 31);
}

RandomStream::RandomStream(std::uint64_t seed, std::string_view item,
                           std::string_view purpose) noexcept
    : key_(stable_hash(purpose, seed)), item_(stable_hash(item)) {}

std::uint64_t RandomStream::bits(std::uint64_t position) const noexcept {
    const auto words = philox4x32(
        {static_cast<std::uint32_t>(position), static_cast<std::uint32_t>(position >> 32),
         static_cast<std::uint32_t>(item_), static_cast<std::uint32_t>(item_ >> 32)},
        {static_cast<std::uint32_t>(key_), static_cast<std::uint32_t>(key_ >> 32)});
    return (static_cast<std::uint64_t>(words[0]) << 32) | words[1];
}

double RandomStream::uniform(std::uint64_t position) const noexcept {
    return static_cast<double>(bits(position) >> 11) * 0x1.0p-53;
}

}  // namespace popalign
