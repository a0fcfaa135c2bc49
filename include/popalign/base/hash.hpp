#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace popalign {

/// CRC-32C (Castagnoli, as in iSCSI, RFC 3720); `crc32c("123456789") == 0xE3069283`.
std::uint32_t crc32c(std::span<const std::byte> data, std::uint32_t previous = 0) noexcept;

/// SHA-256 as 64 lower-case hexadecimal digits.
std::string sha256_hex(std::string_view data);
/// Throws Error if the file cannot be read.
std::string sha256_file(const std::filesystem::path& path);

/// Returns a view of the bytes of `values` in memory, for hashing. Valid as long as `values` is.
template <class T>
requires std::has_unique_object_representations_v<T> std::string_view bytes_of(
    const std::vector<T>& values) {
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

}  // namespace popalign
