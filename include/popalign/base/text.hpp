#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace popalign {

/// Code points of UTF-8: the bytes that continue none.
inline std::size_t code_points(std::string_view text) noexcept {
    return static_cast<std::size_t>(std::ranges::count_if(
        text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace popalign
