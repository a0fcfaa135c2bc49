#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/lm/language_model.hpp>
#include <popalign/store/safetensors.hpp>

#include <ATen/ATen.h>
#include <nlohmann/json.hpp>

namespace popalign {
namespace {

nlohmann::json config_json(const CausalLm& model, const ModelFrontEnd& front_end) {
    const ModelConfig& config = model.config();
    nlohmann::json json{
        {"architectures",
         {config.architecture == "qwen2" ? "Qwen2ForCausalLM" : "LlamaForCausalLM"}},
        {"model_type", config.architecture},
        {"torch_dtype", model.dtype() == at::kBFloat16 ? "bfloat16" : "float32"},
        {"vocab_size", config.vocab_size},
        {"hidden_size", config.hidden_size},
        {"intermediate_size", config.intermediate_size},
        {"num_hidden_layers", config.num_hidden_layers},
        {"num_attention_heads", config.num_attention_heads},
        {"num_key_value_heads", config.num_key_value_heads},
        {"max_position_embeddings", config.max_position_embeddings},
        {"rope_theta", config.rope_theta},
        {"rms_norm_eps", config.rms_norm_eps},
        {"tie_word_embeddings", config.tie_word_embeddings},
        {"hidden_act", "silu"},
        {"use_cache", true},
        {"eos_token_id", front_end.stop_tokens}};
    if (config.architecture == "llama") {
        json["head_dim"] = config.head_dim;
        json["attention_bias"] = false;
        json["mlp_bias"] = false;
    }
    if (const auto bos = front_end.tokenizer.bos_token())
        json["bos_token_id"] = *bos;
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
    if (front_end.chat)
        json["chat_template"] = front_end.chat->jinja();
    return json;
}

void write_weights(const std::filesystem::path& path, const CausalLm& model,
                   const std::string& provenance) {
    std::vector<at::Tensor> kept;
    std::vector<TensorView> views;
    for (const auto& [name, tensor] : model.parameters()) {
        const auto type = tensor.scalar_type() == at::kBFloat16 ? at::kBFloat16 : at::kFloat;
        kept.push_back(tensor.detach().to(at::kCPU, type).contiguous());
        const at::Tensor& data = kept.back();
        views.push_back({name,
                         type == at::kBFloat16 ? TensorType::bf16 : TensorType::f32,
                         data.sizes().vec(),
                         {static_cast<const std::byte*>(data.data_ptr()), data.nbytes()}});
    }
    write_safetensors(path, views, {{"format", "pt"}, {"provenance", provenance}});
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

void save_hf_model(const std::filesystem::path& directory, const CausalLm& model,
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

}  // namespace popalign
