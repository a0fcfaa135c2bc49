#include <popalign/base/random.hpp>
#include <popalign/record/text_similarity.hpp>

#include <algorithm>
#include <iterator>
#include <limits>
#include <vector>

namespace popalign {
namespace {

constexpr std::size_t piece_bytes = 5;

/// Ascending. A piece is its bytes as a number, so that no two are mistaken for each other.
std::vector<std::uint64_t> pieces_of(std::string_view text) {
    if (text.size() < piece_bytes)
        return {stable_hash(text)};
    constexpr std::uint64_t mask = (std::uint64_t{1} << 8 * piece_bytes) - 1;
    std::vector<std::uint64_t> pieces;
    pieces.reserve(text.size());
    std::uint64_t window = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        window = (window << 8 | static_cast<unsigned char>(text[i])) & mask;
        if (i + 1 >= piece_bytes)
            pieces.push_back(window);
    }
    std::ranges::sort(pieces);
    pieces.erase(std::ranges::unique(pieces).begin(), pieces.end());
    return pieces;
}

/// splitmix64 (Steele et al. 2014).
std::uint64_t mix(std::uint64_t value) noexcept {
    value += 0x9E3779B97F4A7C15ULL;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL;
    return value ^ (value >> 31);
}

}  // namespace

double text_similarity(std::string_view a, std::string_view b) {
    const auto first = pieces_of(a), second = pieces_of(b);
    std::vector<std::uint64_t> both;
    std::ranges::set_intersection(first, second, std::back_inserter(both));
    return static_cast<double>(both.size()) /
           static_cast<double>(first.size() + second.size() - both.size());
}

TextSignature text_signature(std::string_view text) {
    constexpr std::uint64_t none = std::numeric_limits<std::uint64_t>::max();
    std::array<std::uint64_t, TextSignature::parts> least;
    least.fill(none);
    for (const std::uint64_t piece : pieces_of(text)) {
        const std::uint64_t hash = mix(piece);
        std::uint64_t& place = least[hash % least.size()];
        place = std::min(place, hash);
    }
    TextSignature signature;
    for (std::size_t i = 0; i < least.size(); ++i) {
        std::size_t from = i;
        // The places tried do not depend on the text: similar texts borrow from the same ones.
        for (std::uint64_t attempt = 1; least[from] == none; ++attempt)
            from = mix(i << 32 | attempt) % least.size();
        // Not the high bits: those of the least of many are all zero. The lowest are the part.
        signature.least[i] = static_cast<std::uint16_t>(least[from] >> 8);
    }
    return signature;
}

double estimated_similarity(const TextSignature& a, const TextSignature& b) noexcept {
    std::size_t equal = 0;
    for (std::size_t i = 0; i < TextSignature::parts; ++i)
        equal += a.least[i] == b.least[i] ? 1 : 0;
    return static_cast<double>(equal) / TextSignature::parts;
}

}  // namespace popalign
