#include "lm/model_files.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/lm/language_model.hpp>
#include <popalign/store/gguf.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace popalign {
namespace {

constexpr std::string_view supported = "llama, qwen2";

[[noreturn]] void refuse(const std::filesystem::path& path, std::string_view what) {
    throw InputError(path.native(), fmt::format("{} is not supported (supported architectures: {})",
                                                what, supported));
}

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
    if (!(config.rope_theta > 0) || !(config.rms_norm_eps > 0))
        throw InputError(path.native(), "rope_theta and rms_norm_eps must be positive");
    return config;
}

ModelConfig from_gguf(const GgufFile& file) {
    const std::filesystem::path& path = file.path();
    ModelConfig config;
    config.architecture = file.text("general.architecture").value_or("(none)");
    if (config.architecture != "llama" && config.architecture != "qwen2")
        refuse(path, fmt::format("architecture '{}'", config.architecture));
    const auto key = [&](std::string_view name) {
        return fmt::format("{}.{}", config.architecture, name);
    };
    const auto integer = [&](std::string_view name) {
        if (const auto value = file.integer(key(name)))
            return *value;
        throw InputError(path.native(), fmt::format("no '{}' in the metadata", key(name)));
    };
    const TensorView* embedding = file.find("token_embd.weight");
    if (embedding == nullptr || embedding->shape.size() != 2)
        throw InputError(path.native(), "no tensor 'token_embd.weight'; is it a language model?");
    if (file.find("rope_freqs.weight") != nullptr ||
        file.text(key("rope.scaling.type")).value_or("none") != "none")
        refuse(path, "rotary scaling");
    config.vocab_size = embedding->shape[0];
    config.hidden_size = integer("embedding_length");
    config.intermediate_size = integer("feed_forward_length");
    config.num_hidden_layers = integer("block_count");
    config.num_attention_heads = integer("attention.head_count");
    config.num_key_value_heads =
        file.integer(key("attention.head_count_kv")).value_or(config.num_attention_heads);
    config.head_dim = file.integer(key("attention.key_length"))
                          .value_or(config.num_attention_heads > 0
                                        ? config.hidden_size / config.num_attention_heads
                                        : 0);
    config.max_position_embeddings = integer("context_length");
    config.rope_theta = file.number(key("rope.freq_base")).value_or(10000.0);
    config.rms_norm_eps = file.number(key("attention.layer_norm_rms_epsilon")).value_or(1e-5);
    config.tie_word_embeddings = file.find("output.weight") == nullptr;
    config.attention_bias = file.find("blk.0.attn_q.bias") != nullptr;
    return checked(config, path);
}

ModelConfig from_json(const std::filesystem::path& path, const nlohmann::json& json) {
    ModelConfig config;
    config.architecture = json.at("model_type").get<std::string>();
    if (config.architecture != "llama" && config.architecture != "qwen2")
        refuse(path, fmt::format("model_type '{}'", config.architecture));
    if (json.value("hidden_act", "silu") != "silu")
        refuse(path, "an activation other than silu");
    if (json.value("mlp_bias", false) ||
        (config.architecture == "llama" && json.value("attention_bias", false)))
        refuse(path, "a llama with biases");
    if (json.value("use_sliding_window", false))
        refuse(path, "sliding-window attention");
    const auto rope = json.value("rope_parameters", nlohmann::json::object());
    const auto scaling = json.contains("rope_scaling") && json["rope_scaling"].is_object()
                             ? json["rope_scaling"]
                             : rope;
    const std::string kind = scaling.value("rope_type", scaling.value("type", "default"));
    if (kind != "default")
        refuse(path, fmt::format("rotary scaling '{}'", kind));
    config.vocab_size = json.at("vocab_size");
    config.hidden_size = json.at("hidden_size");
    config.intermediate_size = json.at("intermediate_size");
    config.num_hidden_layers = json.at("num_hidden_layers");
    config.num_attention_heads = json.at("num_attention_heads");
    config.num_key_value_heads = json.value("num_key_value_heads", config.num_attention_heads);
    const auto head_dim = json.find("head_dim");
    config.head_dim =
        head_dim != json.end() && head_dim->is_number()
            ? head_dim->get<std::int64_t>()
            : config.hidden_size / std::max<std::int64_t>(config.num_attention_heads, 1);
    config.max_position_embeddings = json.value("max_position_embeddings", std::int64_t{2048});
    config.rope_theta = json.value("rope_theta", rope.value("rope_theta", 10000.0));
    config.rms_norm_eps = json.value("rms_norm_eps", 1e-6);
    config.tie_word_embeddings = json.value("tie_word_embeddings", false);
    config.attention_bias = config.architecture == "qwen2";
    return checked(config, path);
}

}  // namespace

bool is_gguf(const std::filesystem::path& path) {
    if (!std::filesystem::exists(path))
        throw InputError(path.native(), "no such model; give an HF directory or a GGUF file");
    return std::filesystem::is_regular_file(path);
}

nlohmann::json read_json_file(const std::filesystem::path& path) {
    try {
        return nlohmann::json::parse(read_text_file(path));
    } catch (const nlohmann::json::exception& error) {
        throw InputError(path.native(), fmt::format("not JSON ({})", error.what()));
    }
}

ModelConfig load_model_config(const std::filesystem::path& path) {
    if (is_gguf(path))
        return from_gguf(GgufFile(path));
    const auto file = path / "config.json";
    if (!std::filesystem::exists(file))
        throw InputError(path.native(),
                         "no config.json in it; give an HF directory or a GGUF file");
    try {
        return from_json(file, read_json_file(file));
    } catch (const nlohmann::json::exception& error) {
        throw InputError(file.native(), fmt::format("a member is missing or of the wrong type ({})",
                                                    error.what()));
    }
}

}  // namespace popalign
