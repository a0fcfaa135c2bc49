#include "lm/checkpoint/model_config_readers.hpp"
#include "lm/text/model_files.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>
#include <popalign/lm/transformer/architecture.hpp>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace popalign::lm {
namespace {

/// Shapes come from outside and decide allocations.
ModelConfig checked(ModelConfig config, const std::filesystem::path& path) {
    constexpr std::int64_t largest = std::int64_t{1} << 24;
    for (const auto& [value, name] : {std::pair{config.vocab_size, "vocab_size"},
                                      {config.hidden_size, "hidden_size"},
                                      {config.intermediate_size, "intermediate_size"},
                                      {config.num_hidden_layers, "num_hidden_layers"},
                                      {config.num_attention_heads, "num_attention_heads"},
                                      {config.num_key_value_heads, "num_key_value_heads"},
                                      {config.head_dim, "head_dim"},
                                      {config.max_position_embeddings, "max_position_embeddings"}})
        if (value < 1 || value > largest)
            throw InputError(path.native(),
                             fmt::format("{} is {}, which no model has", name, value));
    if (config.num_attention_heads % config.num_key_value_heads != 0 || config.head_dim % 2 != 0)
        throw InputError(path.native(),
                         "the attention heads do not divide into the key-value heads");
    for (const RotaryConfig& rotary : {config.rotary, config.local_rotary})
        if (!(rotary.theta > 0) || !(rotary.factor > 0) ||
            !(rotary.high_freq_factor > rotary.low_freq_factor))
            throw InputError(path.native(), "its rotary embedding makes no sense");
    if (!(config.rms_norm_eps > 0) || config.query_pre_attn_scalar < 0)
        throw InputError(path.native(), "rms_norm_eps must be positive");
    for (std::int64_t window : config.windows)
        if (window < 0)
            throw InputError(path.native(), "sliding_window is below 0");
    return config;
}

}  // namespace

void refuse_model(const std::filesystem::path& path, std::string_view what) {
    std::vector<std::string_view> names;
    for (const Architecture& architecture : architectures())
        names.push_back(architecture.gguf_name);
    throw InputError(path.native(), fmt::format("{} is not supported (supported architectures: {})",
                                                what, fmt::join(names, ", ")));
}

std::vector<std::int64_t> alternating_windows(std::int64_t layers, std::int64_t window,
                                              std::int64_t period) {
    std::vector<std::int64_t> windows(static_cast<std::size_t>(layers), window);
    for (std::int64_t i = period - 1; i >= 0 && i < layers; i += period)
        windows[static_cast<std::size_t>(i)] = 0;
    return windows;
}

ModelConfig load_model_config(const std::filesystem::path& path) {
    if (is_gguf(path))
        return checked(model_config_from_gguf(store::GgufFile(path)), path);
    const auto file = path / "config.json";
    if (!std::filesystem::exists(file))
        throw InputError(path.native(),
                         "no config.json in it; give an HF directory or a GGUF file");
    try {
        return checked(model_config_from_json(file, read_json_file(file)), file);
    } catch (const nlohmann::json::exception& error) {
        throw InputError(file.native(), fmt::format("a member is missing or of the wrong type ({})",
                                                    error.what()));
    }
}

}  // namespace popalign::lm
