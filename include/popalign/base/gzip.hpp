#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace popalign {

/// Returns the text of a file, unpacked if its name ends in `.gz`. Throws InputError if the file
/// does not exist, is not gzip, is truncated, or unpacks to more than `limit` bytes.
std::string read_text_or_gzip(const std::filesystem::path& path,
                              std::uint64_t limit = std::uint64_t{4} << 30);

}  // namespace popalign
