#include <popalign/base/range.hpp>

#include <algorithm>

namespace popalign {

Range partition(std::size_t count, int part, int parts) noexcept {
    const auto p = static_cast<std::size_t>(part), n = static_cast<std::size_t>(parts);
    const std::size_t base = count / n, extra = count % n;
    const std::size_t begin = p * base + std::min(p, extra);
    return {begin, begin + base + (p < extra ? 1 : 0)};
}

int owner(std::size_t count, std::size_t item, int parts) noexcept {
    const auto n = static_cast<std::size_t>(parts);
    const std::size_t base = count / n, extra = count % n, large = extra * (base + 1);
    return static_cast<int>(item < large ? item / (base + 1) : extra + (item - large) / base);
}

}  // namespace popalign
