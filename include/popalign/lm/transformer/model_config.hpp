#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
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

/// Shape of a decoder-only transformer; names as in HF's config.json. What tells the architectures
/// apart is data here: the forward pass asks for no name.
struct ModelConfig {
    enum class Activation { silu, gelu_tanh };

    std::string architecture;  ///< "llama", "mistral", "qwen2", "qwen3" or "gemma3_text"
    std::int64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0, num_hidden_layers = 0;
    std::int64_t num_attention_heads = 0, num_key_value_heads = 0, head_dim = 0;
    std::int64_t max_position_embeddings = 0;
    double rms_norm_eps = 1e-5;
    bool tie_word_embeddings = false, attention_bias = false;
    Activation activation = Activation::silu;
    /// Of each layer: tokens that a token sees, itself included; 0: all. Empty: 0 everywhere.
    std::vector<std::int64_t> windows = {};
    RotaryConfig rotary = {}, local_rotary = {};  ///< of layers without and with a window
    bool query_key_norm = false;                  ///< each head's query and key are normalised
    bool output_norms = false;   ///< attention and feed-forward are normalised behind them as well
    double norm_offset = 0;      ///< added to every norm's weight
    double embedding_scale = 1;  ///< of the embeddings that go in
    double query_pre_attn_scalar = 0;  ///< scores are scaled by its root's inverse; 0: head_dim

    std::int64_t window(std::size_t layer) const { return windows.empty() ? 0 : windows[layer]; }
    std::int64_t parameter_count() const noexcept;
    bool operator==(const ModelConfig&) const = default;
};

}  // namespace popalign::lm
