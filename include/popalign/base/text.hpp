#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace popalign {

/// Returns the number of code points of UTF-8 text: the bytes that are not continuation bytes.
inline std::size_t code_points(std::string_view text) noexcept {
    return static_cast<std::size_t>(std::ranges::count_if(
        text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace popalign
