#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace popalign::lm {

/// Rotary embedding (Su et al. 2021) and the scaling that stretches it to longer texts; names as in
/// HF's `rope_parameters`.
struct RotaryConfig {
    enum class Scaling { none, linear, llama3 };
    double theta = 10000.0;
    Scaling scaling = Scaling::none;
    double factor = 1, low_freq_factor = 1, high_freq_factor = 4;
    std::int64_t original_max_position_embeddings = 8192;

    bool operator==(const RotaryConfig&) const = default;
};

/// Shape of a decoder-only transformer; names as in HF's config.json. Architectures differ by the
/// data in here: the forward pass asks for no name.
struct ModelConfig {
    enum class Activation { silu, gelu_tanh };

    std::string architecture;  ///< a row of `architectures()`
    std::int64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0, num_hidden_layers = 0;
    std::int64_t num_attention_heads = 0, num_key_value_heads = 0, head_dim = 0;
    std::int64_t max_position_embeddings = 0;
    double rms_norm_eps = 1e-5;
    bool tie_word_embeddings = false;
    /// Layer weights that not every model has, by their names in `weight_specs`.
    std::set<std::string, std::less<>> optional_weights = {};
    Activation activation = Activation::silu;
    /// By layer: tokens that a token sees, itself included; 0: all. Empty: 0 everywhere.
    std::vector<std::int64_t> windows = {};
    RotaryConfig rotary = {}, local_rotary = {};  ///< of layers without and with a window
    double norm_offset = 0;                       ///< added to every norm's weight
    double embedding_scale = 1;                   ///< factor on the input embeddings
    double query_pre_attn_scalar = 0;  ///< scores are divided by its square root; 0: head_dim

    std::int64_t window(std::size_t layer) const { return windows.empty() ? 0 : windows[layer]; }
    bool has(std::string_view optional_weight) const {
        return optional_weights.contains(optional_weight);
    }
    std::int64_t query_size() const noexcept { return num_attention_heads * head_dim; }
    std::int64_t key_value_size() const noexcept { return num_key_value_heads * head_dim; }
    bool operator==(const ModelConfig&) const = default;
};

}  // namespace popalign::lm
