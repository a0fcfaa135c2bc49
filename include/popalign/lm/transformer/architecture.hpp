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

/// How the ranks that hold one model together divide a weight among them.
enum class WeightSplit {
    none,       ///< each holds all of it
    rows,       ///< equal parts of the rows: each computes a part of the output
    columns,    ///< equal parts of the columns: the outputs are summed over the ranks
    vocabulary  ///< rows, in parts that differ by at most one
};

/// How GGUF stores a weight where HF stores it otherwise.
enum class GgufForm {
    same,
    interleaved,  ///< rows of a head in rotary pairs side by side; HF has them in two halves
    offset_added  ///< `ModelConfig::norm_offset` is in the numbers
};

/// One weight of a model. Loading, slicing, counting, planning and saving all work from this.
struct WeightSpec {
    /// By which the forward pass asks for it: "q_proj", "q_proj.bias", "mlp_norm", "lm_head".
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

/// Every weight of a model, in HF's order: the embedding, the layers, the final norm, and the head
/// unless it is tied to the embedding.
std::vector<WeightSpec> weight_specs(const ModelConfig& config);
std::int64_t parameter_count(const ModelConfig& config);

/// Which layers see only a window of tokens.
enum class WindowRule {
    none,
    every_layer,    ///< all, where `sliding_window` is given
    behind_first,   ///< those from `max_window_layers` on, where `use_sliding_window` is set
    all_but_sixth,  ///< all but each `sliding_window_pattern`-th (6th)
};

/// What an architecture fixes for all its models: the flags of a row, from which the configs of HF
/// and GGUF are read and written.
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

    /// Sets what no config says.
    ModelConfig defaults() const;
};

std::span<const Architecture> architectures();
/// By `Architecture::model_type`; throws Error for a name that is in no row.
const Architecture& architecture_of(const ModelConfig& config);

}  // namespace popalign::lm
