#pragma once

#include <popalign/lm/transformer/model_config.hpp>
#include <popalign/store/weights/gguf.hpp>

#include <nlohmann/json_fwd.hpp>

#include <filesystem>
#include <string_view>

namespace popalign::lm {

/// Both throw InputError naming what is missing or not supported; the JSON one also
/// nlohmann::json::exception.
ModelConfig model_config_from_gguf(const store::GgufFile& file);
ModelConfig model_config_from_json(const std::filesystem::path& path, const nlohmann::json& json);

/// Throws InputError: `what` is not supported.
[[noreturn]] void refuse_model(const std::filesystem::path& path, std::string_view what);

/// Every `period`-th layer sees all, the others `window` tokens.
std::vector<std::int64_t> alternating_windows(std::int64_t layers, std::int64_t window,
                                              std::int64_t period);

}  // namespace popalign::lm
