#include "lm/checkpoint/model_config_readers.hpp"

#include <popalign/base/error.hpp>
#include <popalign/lm/transformer/architecture.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cmath>

namespace popalign::lm {
namespace {

using Json = nlohmann::json;

/// A member that may be absent or null.
template <class T>
T value_or(const Json& json, const char* name, T otherwise) {
    const auto found = json.find(name);
    return found == json.end() || found->is_null() ? otherwise : found->get<T>();
}

RotaryConfig read_rotary(const std::filesystem::path& path, const Json& parameters,
                         double default_theta) {
    RotaryConfig rotary;
    rotary.theta = value_or(parameters, "rope_theta", default_theta);
    const std::string kind =
        value_or(parameters, "rope_type", value_or<std::string>(parameters, "type", "default"));
    if (kind == "default")
        return rotary;
    if (kind != "linear" && kind != "llama3")
        refuse_model(path, fmt::format("rotary scaling '{}'", kind));
    rotary.factor = parameters.at("factor");
    rotary.scaling = RotaryConfig::Scaling::linear;
    if (kind == "llama3") {
        rotary.scaling = RotaryConfig::Scaling::llama3;
        rotary.low_freq_factor = parameters.at("low_freq_factor");
        rotary.high_freq_factor = parameters.at("high_freq_factor");
        rotary.original_max_position_embeddings = parameters.at("original_max_position_embeddings");
    }
    return rotary;
}

/// `rope_parameters` (for each kind of layer where they differ), or what it was before:
/// `rope_theta`, `rope_scaling` and `rope_local_base_freq`.
void read_rotaries(const std::filesystem::path& path, const Json& json,
                   const Architecture& architecture, ModelConfig& config) {
    const double theta = value_or(json, "rope_theta", config.rotary.theta);
    const Json parameters = value_or(json, "rope_parameters", Json::object());
    if (parameters.contains("full_attention")) {
        config.rotary = read_rotary(path, parameters.at("full_attention"), theta);
        config.local_rotary =
            read_rotary(path, parameters.at("sliding_attention"), architecture.local_rope_theta);
        return;
    }
    const Json scaling = value_or(json, "rope_scaling", parameters);
    config.rotary = read_rotary(path, scaling, value_or(parameters, "rope_theta", theta));
    config.local_rotary = config.rotary;
    if (architecture.local_rope_theta > 0) {
        config.local_rotary = RotaryConfig{};
        config.local_rotary.theta =
            value_or(json, "rope_local_base_freq", architecture.local_rope_theta);
    }
}

/// A window of each layer: by `layer_types` where they are given, else by the architecture's rule.
void read_windows(const Json& json, WindowRule rule, ModelConfig& config) {
    const auto window = value_or<std::int64_t>(json, "sliding_window", 0);
    if (window < 1 || rule == WindowRule::none ||
        (rule == WindowRule::behind_first && !value_or(json, "use_sliding_window", false)))
        return;
    const auto layers = static_cast<std::size_t>(config.num_hidden_layers);
    config.windows.assign(layers, window);
    if (const auto types = json.find("layer_types"); types != json.end() && types->is_array()) {
        for (std::size_t i = 0; i < layers; ++i)
            if (types->at(i) == "full_attention")
                config.windows[i] = 0;
    } else if (rule == WindowRule::behind_first) {
        const auto whole = value_or<std::size_t>(json, "max_window_layers", 28);
        for (std::size_t i = 0; i < std::min(layers, whole); ++i)
            config.windows[i] = 0;
    } else if (rule == WindowRule::all_but_sixth) {
        config.windows =
            alternating_windows(config.num_hidden_layers, window,
                                value_or<std::int64_t>(json, "sliding_window_pattern", 6));
    }
}

void refuse_what_is_not_built(const std::filesystem::path& path, const Json& json,
                              const ModelConfig& config) {
    const bool gelu = config.activation == ModelConfig::Activation::gelu_tanh;
    const char* expected = gelu ? "gelu_pytorch_tanh" : "silu";
    const auto activation = value_or<std::string>(
        json, "hidden_activation", value_or<std::string>(json, "hidden_act", expected));
    if (activation != expected)
        refuse_model(path, fmt::format("activation '{}'", activation));
    if (value_or(json, "mlp_bias", false) ||
        (!config.has("q_proj.bias") && value_or(json, "attention_bias", false)))
        refuse_model(path, fmt::format("a {} with biases", config.architecture));
    for (const char* name : {"attn_logit_softcapping", "final_logit_softcapping"})
        if (value_or(json, name, 0.0) != 0)
            refuse_model(path, fmt::format("'{}'", name));
    if (value_or(json, "use_bidirectional_attention", false))
        refuse_model(path, "bidirectional attention");
}

const Architecture& find_architecture(const std::filesystem::path& path, const Json& json) {
    const auto name = json.at("model_type").get<std::string>();
    for (const Architecture& architecture : architectures())
        if (architecture.model_type == name ||
            (architecture.enclosing_type == name && json.contains("text_config")))
            return architecture;
    refuse_model(path, fmt::format("architecture '{}'", name));
}

}  // namespace

ModelConfig model_config_from_json(const std::filesystem::path& path, const Json& whole) {
    const Architecture& architecture = find_architecture(path, whole);
    // A model of text and images keeps the former's shape in a member of its own.
    const bool nested = whole.at("model_type") == architecture.enclosing_type;
    const Json& json = nested ? whole.at("text_config") : whole;
    ModelConfig config = architecture.defaults();
    refuse_what_is_not_built(path, json, config);
    config.vocab_size = json.at("vocab_size");
    config.hidden_size = json.at("hidden_size");
    config.intermediate_size = json.at("intermediate_size");
    config.num_hidden_layers = json.at("num_hidden_layers");
    config.num_attention_heads = json.at("num_attention_heads");
    config.num_key_value_heads = value_or(json, "num_key_value_heads", config.num_attention_heads);
    config.head_dim =
        value_or(json, "head_dim",
                 config.hidden_size / std::max<std::int64_t>(config.num_attention_heads, 1));
    config.max_position_embeddings = value_or(json, "max_position_embeddings", std::int64_t{2048});
    config.rms_norm_eps = value_or(json, "rms_norm_eps", 1e-6);
    config.tie_word_embeddings =
        value_or(json, "tie_word_embeddings", architecture.tie_word_embeddings);
    read_rotaries(path, json, architecture, config);
    if (config.num_hidden_layers > 0 && config.num_hidden_layers < 65536)
        read_windows(json, architecture.windows, config);
    if (architecture.scales_embeddings)
        config.embedding_scale = std::sqrt(static_cast<double>(config.hidden_size));
    if (architecture.query_pre_attn_scalar > 0)
        config.query_pre_attn_scalar =
            value_or(json, "query_pre_attn_scalar", architecture.query_pre_attn_scalar);
    return config;
}

}  // namespace popalign::lm
