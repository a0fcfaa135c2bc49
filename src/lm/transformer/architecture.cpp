#include <popalign/base/error.hpp>
#include <popalign/lm/transformer/architecture.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>

namespace popalign::lm {
namespace {

using Size = std::int64_t (*)(const ModelConfig&);

constexpr Size hidden = [](const ModelConfig& config) { return config.hidden_size; };
constexpr Size inner = [](const ModelConfig& config) { return config.intermediate_size; };
constexpr Size query = [](const ModelConfig& config) { return config.query_size(); };
constexpr Size key_value = [](const ModelConfig& config) { return config.key_value_size(); };
constexpr Size head_dim = [](const ModelConfig& config) { return config.head_dim; };
constexpr Size vocabulary = [](const ModelConfig& config) { return config.vocab_size; };
constexpr Size none = nullptr;  // of a vector's columns

constexpr auto whole = WeightSplit::none, by_rows = WeightSplit::rows,
               by_columns = WeightSplit::columns, by_token = WeightSplit::vocabulary;

/// Traits of a row.
enum : unsigned {
    optional = 1,             ///< only in models that have it
    rotated = 2,              ///< the rotary embedding turns its rows
    norm = 4,                 ///< has `norm_offset` added
    with_output_norm = 8,     ///< only in models with "attention_output_norm"
    without_output_norm = 16  ///< only in models without
};

struct WeightRow {
    std::string_view name, group, hf, gguf;  ///< a layer's are below its prefix
    Size rows, columns;
    WeightSplit split;
    unsigned traits = 0;
};

/// The weights of a layer, in HF's order. With norms behind attention and feed-forward, HF gives
/// the older name to the former.
constexpr WeightRow layer_rows[] = {
    {"q_proj", "qkv_proj", "self_attn.q_proj.weight", "attn_q.weight", query, hidden, by_rows,
     rotated},
    {"k_proj", "qkv_proj", "self_attn.k_proj.weight", "attn_k.weight", key_value, hidden, by_rows,
     rotated},
    {"v_proj", "qkv_proj", "self_attn.v_proj.weight", "attn_v.weight", key_value, hidden, by_rows},
    {"q_proj.bias", "qkv_proj", "self_attn.q_proj.bias", "attn_q.bias", query, none, by_rows,
     optional | rotated},
    {"k_proj.bias", "qkv_proj", "self_attn.k_proj.bias", "attn_k.bias", key_value, none, by_rows,
     optional | rotated},
    {"v_proj.bias", "qkv_proj", "self_attn.v_proj.bias", "attn_v.bias", key_value, none, by_rows,
     optional},
    {"q_norm", "", "self_attn.q_norm.weight", "attn_q_norm.weight", head_dim, none, whole,
     optional | norm},
    {"k_norm", "", "self_attn.k_norm.weight", "attn_k_norm.weight", head_dim, none, whole,
     optional | norm},
    {"o_proj", "o_proj", "self_attn.o_proj.weight", "attn_output.weight", hidden, query,
     by_columns},
    {"gate_proj", "gate_up_proj", "mlp.gate_proj.weight", "ffn_gate.weight", inner, hidden,
     by_rows},
    {"up_proj", "gate_up_proj", "mlp.up_proj.weight", "ffn_up.weight", inner, hidden, by_rows},
    {"down_proj", "down_proj", "mlp.down_proj.weight", "ffn_down.weight", hidden, inner,
     by_columns},
    {"attention_norm", "", "input_layernorm.weight", "attn_norm.weight", hidden, none, whole, norm},
    {"mlp_norm", "", "post_attention_layernorm.weight", "ffn_norm.weight", hidden, none, whole,
     norm | without_output_norm},
    {"attention_output_norm", "", "post_attention_layernorm.weight", "post_attention_norm.weight",
     hidden, none, whole, optional | norm},
    {"mlp_norm", "", "pre_feedforward_layernorm.weight", "ffn_norm.weight", hidden, none, whole,
     norm | with_output_norm},
    {"mlp_output_norm", "", "post_feedforward_layernorm.weight", "post_ffw_norm.weight", hidden,
     none, whole, optional | norm},
};

constexpr WeightRow embedding_row{
    "embed_tokens", "",      "model.embed_tokens.weight", "token_embd.weight", vocabulary,
    hidden,         by_token};
constexpr WeightRow final_norm_row{
    "final_norm", "", "model.norm.weight", "output_norm.weight", hidden, none, whole, norm};
constexpr WeightRow head_row{"lm_head",  "",     "lm_head.weight", "output.weight",
                             vocabulary, hidden, by_token};

bool is_in(const WeightRow& row, const ModelConfig& config) {
    const bool output_norm = config.has("attention_output_norm");
    return ((row.traits & optional) == 0 || config.has(row.name)) &&
           ((row.traits & with_output_norm) == 0 || output_norm) &&
           ((row.traits & without_output_norm) == 0 || !output_norm);
}

GgufForm gguf_form(const WeightRow& row, const Architecture& architecture) {
    if ((row.traits & norm) != 0)
        return GgufForm::offset_added;
    return (row.traits & rotated) != 0 && architecture.interleaved_in_gguf ? GgufForm::interleaved
                                                                           : GgufForm::same;
}

WeightSpec spec_of(const WeightRow& row, const ModelConfig& config,
                   const Architecture& architecture, std::optional<std::int64_t> layer = {}) {
    WeightSpec spec;
    spec.name = row.name;
    spec.group = row.group;
    spec.hf_name = layer ? fmt::format("model.layers.{}.{}", *layer, row.hf) : std::string(row.hf);
    spec.gguf_name = layer ? fmt::format("blk.{}.{}", *layer, row.gguf) : std::string(row.gguf);
    spec.shape = {row.rows(config)};
    if (row.columns != nullptr)
        spec.shape.push_back(row.columns(config));
    spec.layer = layer;
    spec.split = row.split;
    spec.gguf_form = gguf_form(row, architecture);
    return spec;
}

}  // namespace

std::int64_t WeightSpec::elements() const noexcept {
    return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

std::vector<WeightSpec> weight_specs(const ModelConfig& config) {
    const Architecture& architecture = architecture_of(config);
    std::vector<WeightSpec> specs{spec_of(embedding_row, config, architecture)};
    for (std::int64_t layer = 0; layer < config.num_hidden_layers; ++layer)
        for (const WeightRow& row : layer_rows)
            if (is_in(row, config))
                specs.push_back(spec_of(row, config, architecture, layer));
    specs.push_back(spec_of(final_norm_row, config, architecture));
    if (!config.tie_word_embeddings)
        specs.push_back(spec_of(head_row, config, architecture));
    return specs;
}

std::int64_t parameter_count(const ModelConfig& config) {
    std::int64_t count = 0;
    for (const WeightSpec& spec : weight_specs(config))
        count += spec.elements();
    return count;
}

std::span<const Architecture> architectures() {
    static const Architecture rows[] = {
        {.model_type = "llama",
         .gguf_name = "llama",
         .class_prefix = "Llama",
         .interleaved_in_gguf = true,
         .says_biases = true},
        {.model_type = "mistral",
         .gguf_name = "mistral",
         .class_prefix = "Mistral",
         .windows = WindowRule::every_layer},
        {.model_type = "qwen2",
         .gguf_name = "qwen2",
         .class_prefix = "Qwen2",
         .optional_weights = {"q_proj.bias", "k_proj.bias", "v_proj.bias"},
         .windows = WindowRule::behind_first},
        {.model_type = "qwen3",
         .gguf_name = "qwen3",
         .class_prefix = "Qwen3",
         .optional_weights = {"q_norm", "k_norm"},
         .windows = WindowRule::behind_first},
        {.model_type = "gemma",
         .gguf_name = "gemma",
         .class_prefix = "Gemma",
         .activation = ModelConfig::Activation::gelu_tanh,
         .tie_word_embeddings = true,
         .norm_offset = 1,
         .scales_embeddings = true},
        {.model_type = "gemma3_text",
         .gguf_name = "gemma3",
         .class_prefix = "Gemma3",
         .enclosing_type = "gemma3",
         .optional_weights = {"q_norm", "k_norm", "attention_output_norm", "mlp_output_norm"},
         .windows = WindowRule::all_but_sixth,
         .activation = ModelConfig::Activation::gelu_tanh,
         .activation_key = "hidden_activation",
         .tie_word_embeddings = true,
         .rope_theta = 1e6,
         .local_rope_theta = 10000,
         .norm_offset = 1,
         .scales_embeddings = true,
         .query_pre_attn_scalar = 256},
    };
    return rows;
}

const Architecture& architecture_of(const ModelConfig& config) {
    const auto row =
        std::ranges::find(architectures(), config.architecture, &Architecture::model_type);
    if (row == architectures().end())
        throw Error(
            fmt::format("architecture '{}' is in no row of the table", config.architecture));
    return *row;
}

ModelConfig Architecture::defaults() const {
    ModelConfig config;
    config.architecture = model_type;
    config.optional_weights = optional_weights;
    config.activation = activation;
    config.tie_word_embeddings = tie_word_embeddings;
    config.rotary.theta = rope_theta;
    config.norm_offset = norm_offset;
    return config;
}

}  // namespace popalign::lm
