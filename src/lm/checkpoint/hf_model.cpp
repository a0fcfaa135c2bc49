#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>
#include <popalign/lm/checkpoint/language_model.hpp>
#include <popalign/lm/text/chat_template.hpp>
#include <popalign/lm/transformer/architecture.hpp>
#include <popalign/lm/transformer/trainable_lm.hpp>
#include <popalign/record/token.hpp>
#include <popalign/store/weights/safetensors.hpp>
#include <popalign/store/weights/tensor_view.hpp>

#include <ATen/ATen.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <optional>

namespace popalign::lm {
namespace {

nlohmann::json rope_scaling_json(const RotaryConfig& rotary) {
    switch (rotary.scaling) {
        case RotaryConfig::Scaling::linear:
            return {{"rope_type", "linear"}, {"factor", rotary.factor}};
        case RotaryConfig::Scaling::llama3:
            return {{"rope_type", "llama3"},
                    {"factor", rotary.factor},
                    {"low_freq_factor", rotary.low_freq_factor},
                    {"high_freq_factor", rotary.high_freq_factor},
                    {"original_max_position_embeddings", rotary.original_max_position_embeddings}};
        case RotaryConfig::Scaling::none:
            break;
    }
    return nullptr;
}

void add_windows(const ModelConfig& config, WindowRule rule, nlohmann::json& json) {
    const auto windowed = std::ranges::find_if(config.windows, [](auto w) { return w > 0; });
    if (windowed == config.windows.end()) {
        if (rule == WindowRule::every_layer)
            json["sliding_window"] = nullptr;
        return;
    }
    json["sliding_window"] = *windowed;
    for (std::int64_t window : config.windows)
        json["layer_types"].push_back(window > 0 ? "sliding_attention" : "full_attention");
    if (rule == WindowRule::behind_first) {
        json["use_sliding_window"] = true;
        json["max_window_layers"] = windowed - config.windows.begin();
    }
}

/// Members that only some architectures have.
void add_special_members(const ModelConfig& config, nlohmann::json& json) {
    const Architecture& architecture = architecture_of(config);
    add_windows(config, architecture.windows, json);
    json[std::string(architecture.activation_key)] =
        config.activation == ModelConfig::Activation::gelu_tanh ? "gelu_pytorch_tanh" : "silu";
    if (architecture.says_biases)
        json["attention_bias"] = json["mlp_bias"] = false;
    if (architecture.query_pre_attn_scalar > 0)
        json["query_pre_attn_scalar"] = config.query_pre_attn_scalar;
    if (architecture.local_rope_theta > 0)
        json["rope_local_base_freq"] = config.local_rotary.theta;
    if (const auto scaling = rope_scaling_json(config.rotary); !scaling.is_null())
        json["rope_scaling"] = scaling;
}

std::string class_name(const CausalLm& model) {
    return std::string(architecture_of(model.config()).class_prefix) +
           (model.is_reward_model() ? "ForSequenceClassification" : "ForCausalLM");
}

/// A token that no sequence ends with: `transformers` takes a classifier's score at the last token
/// that is no padding, and the end of a turn must count.
std::optional<TokenId> padding_token(const ModelFrontEnd& front_end) {
    const auto last =
        front_end.chat ? end_of_turn(*front_end.chat, front_end.tokenizer) : std::nullopt;
    for (const char* name : {"<pad>", "<|pad|>", "[PAD]", "<|endoftext|>", "<unk>"}) {
        const auto token = front_end.tokenizer.special_token(name);
        if (token && token != last)
            return token;
    }
    return std::nullopt;
}

nlohmann::json config_json(const CausalLm& model, const ModelFrontEnd& front_end) {
    const ModelConfig& config = model.config();
    nlohmann::json json{{"architectures", {class_name(model)}},
                        {"model_type", config.architecture},
                        {"torch_dtype", model.dtype() == at::kBFloat16 ? "bfloat16" : "float32"},
                        {"vocab_size", config.vocab_size},
                        {"hidden_size", config.hidden_size},
                        {"intermediate_size", config.intermediate_size},
                        {"num_hidden_layers", config.num_hidden_layers},
                        {"num_attention_heads", config.num_attention_heads},
                        {"num_key_value_heads", config.num_key_value_heads},
                        {"head_dim", config.head_dim},
                        {"max_position_embeddings", config.max_position_embeddings},
                        {"rope_theta", config.rotary.theta},
                        {"rms_norm_eps", config.rms_norm_eps},
                        {"tie_word_embeddings", config.tie_word_embeddings},
                        {"use_cache", true},
                        {"eos_token_id", front_end.stop_tokens}};
    add_special_members(config, json);
    if (const auto bos = front_end.tokenizer.bos_token())
        json["bos_token_id"] = *bos;
    if (model.is_reward_model()) {
        json["id2label"] = {{"0", "LABEL_0"}};
        json["label2id"] = {{"LABEL_0", 0}};
        if (const auto padding = padding_token(front_end))
            json["pad_token_id"] = *padding;
    }
    return json;
}

nlohmann::json tokenizer_config_json(const CausalLm& model, const ModelFrontEnd& front_end) {
    const auto text = [&](TokenId token) {
        return front_end.tokenizer.decode_with_special(std::span(&token, 1));
    };
    nlohmann::json json{{"tokenizer_class", "PreTrainedTokenizerFast"},
                        {"clean_up_tokenization_spaces", false},
                        {"model_max_length", model.config().max_position_embeddings}};
    if (const auto bos = front_end.tokenizer.bos_token())
        json["bos_token"] = text(*bos);
    if (!front_end.stop_tokens.empty()) {
        json["eos_token"] = text(front_end.stop_tokens.front());
        json["pad_token"] = json["eos_token"];
    }
    if (const auto padding = padding_token(front_end); model.is_reward_model() && padding)
        json["pad_token"] = text(*padding);
    if (front_end.chat)
        json["chat_template"] = front_end.chat->jinja();
    return json;
}

void write_weights(const std::filesystem::path& path, const TrainableLm& model,
                   const std::string& provenance) {
    std::vector<at::Tensor> kept;
    std::vector<store::TensorView> views;
    for (const auto& [name, tensor, layer] : model.parameters()) {
        const auto type = tensor.scalar_type() == at::kBFloat16 ? at::kBFloat16 : at::kFloat;
        kept.push_back(tensor.detach().to(at::kCPU, type).contiguous());
        const at::Tensor& data = kept.back();
        views.push_back({name,
                         type == at::kBFloat16 ? store::TensorType::bf16 : store::TensorType::f32,
                         data.sizes().vec(),
                         {static_cast<const std::byte*>(data.data_ptr()), data.nbytes()}});
    }
    store::write_safetensors(path, views, {{"format", "pt"}, {"provenance", provenance}});
}

/// Puts a finished directory in the place of what may be there.
void replace_directory(const std::filesystem::path& partial, const std::filesystem::path& target) {
    std::filesystem::path old = target;
    old += ".old";
    std::filesystem::remove_all(old);
    if (std::filesystem::exists(target))
        std::filesystem::rename(target, old);
    commit_path(partial, target);
    std::filesystem::remove_all(old);
}

}  // namespace

void save_hf_model(const std::filesystem::path& directory, const TrainableLm& model,
                   const ModelFrontEnd& front_end, const std::string& provenance) {
    const std::filesystem::path partial = partial_path(directory);
    try {
        std::filesystem::remove_all(partial);
        std::filesystem::create_directories(partial);
        write_weights(partial / "model.safetensors", model, provenance);
        write_text_file(partial / "config.json", config_json(model, front_end).dump(2));
        write_text_file(partial / "generation_config.json",
                        nlohmann::json{{"eos_token_id", front_end.stop_tokens}}.dump(2));
        write_text_file(partial / "tokenizer.json", front_end.tokenizer.json());
        write_text_file(partial / "tokenizer_config.json",
                        tokenizer_config_json(model, front_end).dump(2));
        write_text_file(partial / "provenance.json", provenance);
        replace_directory(partial, directory);
    } catch (const std::filesystem::filesystem_error& error) {
        std::filesystem::remove_all(partial);
        throw Error(directory.native() + ": cannot write the model (" + error.code().message() +
                    ")");
    } catch (...) {
        std::filesystem::remove_all(partial);
        throw;
    }
}

}  // namespace popalign::lm
