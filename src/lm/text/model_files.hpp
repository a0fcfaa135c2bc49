#pragma once

#include <nlohmann/json_fwd.hpp>

#include <filesystem>
#include <string>

namespace popalign::lm {

/// Whether `path` is a file (taken for GGUF) rather than an HF directory. Throws InputError if
/// there is nothing.
bool is_gguf(const std::filesystem::path& path);

/// Throws InputError naming `file` and the line.
nlohmann::json parse_json(const std::string& text, const std::string& file);
nlohmann::json read_json_file(const std::filesystem::path& path);

}  // namespace popalign::lm
