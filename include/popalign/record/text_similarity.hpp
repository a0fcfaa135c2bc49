#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace popalign {

/// Texts of at least this similarity are almost equal.
inline constexpr double near_duplicate_similarity = 0.9;

/// Returns the share of distinct 5-byte pieces that two texts have in common (Broder 1997). A
/// shorter text is its own only piece.
double text_similarity(std::string_view a, std::string_view b);

/// MinHash sketch of a text's pieces, to estimate its similarity to other texts: the smallest hash
/// in each of 128 parts of the hash range (one permutation hashing, Li et al. 2012, with empty
/// parts filled by Shrivastava's 2017 densification).
struct TextSignature {
    static constexpr std::size_t parts = 128;
    std::array<std::uint16_t, parts> least{};
    bool operator==(const TextSignature&) const = default;
};

TextSignature text_signature(std::string_view text);
/// Estimates `text_similarity` of the two texts, to about 0.03. Returns 1 for equal texts.
double estimated_similarity(const TextSignature& a, const TextSignature& b) noexcept;

}  // namespace popalign
