#include "lm/checkpoint/model_config_readers.hpp"
#include "lm/transformer/rotary.hpp"

#include <popalign/base/error.hpp>
#include <popalign/lm/transformer/architecture.hpp>
#include <popalign/store/weights/tensor_view.hpp>

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace popalign::lm {
namespace {

/// The metadata of one architecture.
class Metadata {
  public:
    explicit Metadata(const store::GgufFile& file)
        : file_(file), prefix_(file.text("general.architecture").value_or("(none)")) {}

    const std::string& architecture() const { return prefix_; }
    std::string key(std::string_view name) const { return fmt::format("{}.{}", prefix_, name); }
    std::int64_t integer(std::string_view name) const {
        if (const auto value = file_.integer(key(name)))
            return *value;
        throw InputError(file_.path().native(), fmt::format("no '{}' in the metadata", key(name)));
    }
    std::int64_t integer(std::string_view name, std::int64_t otherwise) const {
        return file_.integer(key(name)).value_or(otherwise);
    }
    double number(std::string_view name, double otherwise) const {
        return file_.number(key(name)).value_or(otherwise);
    }

  private:
    const store::GgufFile& file_;
    std::string prefix_;
};

/// GGUF keeps the quotients of Llama-3.1's scaling, not what they were made from; its parameters
/// are those of all published models but for the factor, and are checked against the quotients.
RotaryConfig llama3_from_quotients(const store::GgufFile& file, const store::TensorView& view,
                                   RotaryConfig rotary, std::int64_t head_dim) {
    std::vector<float> quotients(view.count());
    store::dequantise(view, quotients);
    if (static_cast<std::int64_t>(quotients.size()) != head_dim / 2)
        throw InputError(file.path().native(), "'rope_freqs.weight' has another size than a head");
    const at::Tensor plain = rotary_frequencies(rotary, head_dim, at::kDouble);
    rotary.scaling = RotaryConfig::Scaling::llama3;
    rotary.factor = static_cast<double>(*std::ranges::max_element(quotients));
    const at::Tensor expected = plain / rotary_frequencies(rotary, head_dim, at::kDouble);
    const at::Tensor found = at::tensor(at::ArrayRef<float>(quotients)).to(at::kDouble);
    if (!at::allclose(found, expected, 1e-3))
        refuse_model(file.path(), "rotary scaling by 'rope_freqs.weight' other than Llama-3.1's");
    return rotary;
}

RotaryConfig read_rotary(const store::GgufFile& file, const Metadata& metadata,
                         std::int64_t head_dim) {
    RotaryConfig rotary;
    rotary.theta = metadata.number("rope.freq_base", 10000.0);
    const std::string kind = file.text(metadata.key("rope.scaling.type")).value_or("none");
    if (kind == "linear") {
        rotary.scaling = RotaryConfig::Scaling::linear;
        rotary.factor = metadata.number("rope.scaling.factor", 1.0);
    } else if (kind != "none") {
        refuse_model(file.path(), fmt::format("rotary scaling '{}'", kind));
    }
    if (const store::TensorView* quotients = file.find("rope_freqs.weight"))
        return llama3_from_quotients(file, *quotients, rotary, head_dim);
    return rotary;
}

const Architecture& find_architecture(const std::filesystem::path& path, const std::string& name) {
    const auto row = std::ranges::find(architectures(), name, &Architecture::gguf_name);
    if (row == architectures().end())
        refuse_model(path, fmt::format("architecture '{}'", name));
    return *row;
}

void read_windows(const Architecture& architecture, const Metadata& metadata, ModelConfig& config) {
    const std::int64_t window = metadata.integer("attention.sliding_window", 0);
    if (architecture.windows == WindowRule::all_but_sixth)
        config.windows = alternating_windows(config.num_hidden_layers,
                                             metadata.integer("attention.sliding_window"), 6);
    else if (window > 0)
        config.windows.assign(static_cast<std::size_t>(config.num_hidden_layers), window);
}

/// llama.cpp knows these by itself: its files say nothing of them.
void add_unsaid(const Architecture& architecture, const Metadata& metadata, ModelConfig& config) {
    if (architecture.local_rope_theta > 0) {
        config.local_rotary = RotaryConfig{};
        config.local_rotary.theta =
            metadata.number("rope.freq_base_swa", architecture.local_rope_theta);
    }
    if (architecture.scales_embeddings)
        config.embedding_scale = std::sqrt(static_cast<double>(config.hidden_size));
    constexpr std::int64_t layers_of_27b = 62;
    if (architecture.query_pre_attn_scalar > 0)
        config.query_pre_attn_scalar =
            static_cast<double>(config.num_hidden_layers == layers_of_27b
                                    ? config.hidden_size / config.num_attention_heads
                                    : config.head_dim);
}

}  // namespace

ModelConfig model_config_from_gguf(const store::GgufFile& file) {
    const std::filesystem::path& path = file.path();
    const Metadata metadata(file);
    const Architecture& architecture = find_architecture(path, metadata.architecture());
    ModelConfig config = architecture.defaults();
    const store::TensorView* embedding = file.find("token_embd.weight");
    if (embedding == nullptr || embedding->shape.size() != 2)
        throw InputError(path.native(), "no tensor 'token_embd.weight'; is it a language model?");
    config.vocab_size = embedding->shape[0];
    config.hidden_size = metadata.integer("embedding_length");
    config.intermediate_size = metadata.integer("feed_forward_length");
    config.num_hidden_layers = metadata.integer("block_count");
    config.num_attention_heads = metadata.integer("attention.head_count");
    config.num_key_value_heads =
        metadata.integer("attention.head_count_kv", config.num_attention_heads);
    config.head_dim = metadata.integer(
        "attention.key_length",
        config.hidden_size / std::max<std::int64_t>(config.num_attention_heads, 1));
    config.max_position_embeddings = metadata.integer("context_length");
    config.rms_norm_eps = metadata.number("attention.layer_norm_rms_epsilon", 1e-5);
    config.tie_word_embeddings = file.find("output.weight") == nullptr;
    for (const char* projection : {"q", "k", "v"})
        if (file.find(fmt::format("blk.0.attn_{}.bias", projection)) != nullptr)
            config.optional_weights.insert(fmt::format("{}_proj.bias", projection));
    if (config.head_dim < 2 || config.head_dim > 65536 || config.num_hidden_layers < 1 ||
        config.num_hidden_layers > 65536)
        throw InputError(path.native(), "its metadata describe no model");
    config.rotary = config.local_rotary = read_rotary(file, metadata, config.head_dim);
    read_windows(architecture, metadata, config);
    add_unsaid(architecture, metadata, config);
    return config;
}

}  // namespace popalign::lm
