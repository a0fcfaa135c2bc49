#pragma once

#include <popalign/lm/transformer/model_config.hpp>

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace popalign::lm {

/// Division of a weight among the ranks that hold one model together.
enum class WeightSplit {
    none,       ///< each rank holds the whole weight
    rows,       ///< equal parts of the rows: each computes a part of the output
    columns,    ///< equal parts of the columns: the outputs are summed over the ranks
    vocabulary  ///< rows, in parts that differ by at most one
};

/// Form of a weight in GGUF, relative to HF.
enum class GgufForm {
    same,
    interleaved,  ///< rows of a rotary pair are adjacent in a head; HF stores them in two halves
    offset_added  ///< the values include `ModelConfig::norm_offset`
};

/// Description of one weight of a model, used for loading, slicing, counting, planning and saving.
struct WeightSpec {
    /// Name in the forward pass: "q_proj", "q_proj.bias", "mlp_norm", "lm_head".
    std::string name;
    /// Projections of one input that are computed together, e.g. "qkv_proj"; empty: none.
    std::string group;
    std::string hf_name;              ///< e.g. "model.layers.0.self_attn.q_proj.weight"
    std::string gguf_name;            ///< e.g. "blk.0.attn_q.weight"
    std::vector<std::int64_t> shape;  ///< [rows, columns] or [size], of the whole model
    std::optional<std::int64_t> layer;
    WeightSplit split = WeightSplit::none;
    GgufForm gguf_form = GgufForm::same;

    bool is_matrix() const noexcept { return shape.size() == 2; }
    std::int64_t elements() const noexcept;
};

/// Returns every weight of a model, in HF's order: the embedding, the layers, the final norm, and
/// the head unless it is tied to the embedding.
std::vector<WeightSpec> weight_specs(const ModelConfig& config);
std::int64_t parameter_count(const ModelConfig& config);

/// Rule for the layers with sliding-window attention.
enum class WindowRule {
    none,
    every_layer,    ///< all layers, if `sliding_window` is given
    behind_first,   ///< layers from `max_window_layers` on, if `use_sliding_window` is set
    all_but_sixth,  ///< all but each `sliding_window_pattern`-th (6th)
};

/// Properties that all models of an architecture share. Configs of HF and GGUF are read and written
/// by them.
struct Architecture {
    std::string_view model_type;    ///< in config.json
    std::string_view gguf_name;     ///< `general.architecture`
    std::string_view class_prefix;  ///< of transformers' classes, e.g. "Llama"
    /// The `model_type` of models that keep this one's config in `text_config`; empty: none.
    std::string_view enclosing_type = {};
    std::set<std::string, std::less<>> optional_weights = {};
    bool interleaved_in_gguf = false;  ///< GgufForm of queries and keys
    bool says_biases = false;          ///< config.json has attention_bias and mlp_bias
    WindowRule windows = WindowRule::none;
    ModelConfig::Activation activation = ModelConfig::Activation::silu;
    std::string_view activation_key = "hidden_act";  ///< in config.json
    bool tie_word_embeddings = false;                ///< where config.json says nothing
    double rope_theta = 10000;                       ///< likewise
    double local_rope_theta = 0;  ///< of layers with a window, likewise; 0: as all layers
    double norm_offset = 0;
    bool scales_embeddings = false;    ///< by the root of hidden_size
    double query_pre_attn_scalar = 0;  ///< where config.json says nothing; 0: head_dim, always

    /// Returns a ModelConfig with the properties that no config file gives.
    ModelConfig defaults() const;
};

std::span<const Architecture> architectures();
/// Returns the architecture of a config, by `Architecture::model_type`. Throws Error for an unknown
/// name.
const Architecture& architecture_of(const ModelConfig& config);

}  // namespace popalign::lm
