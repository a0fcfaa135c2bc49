#include "lm/model_files.hpp"

#include <popalign/base/error.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/language_model.hpp>
#include <popalign/lm/weight_memory.hpp>
#include <popalign/store/gguf.hpp>
#include <popalign/store/safetensors.hpp>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/GradMode.h>
#include <fmt/ranges.h>

#include <array>

namespace popalign {
namespace {

/// "model.layers.3.self_attn.q_proj.weight" -> "blk.3.attn_q.weight".
std::string gguf_name(const std::string& name, const ModelConfig& config) {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 11> parts{
        {{"self_attn.q_proj", "attn_q"},
         {"self_attn.k_proj", "attn_k"},
         {"self_attn.v_proj", "attn_v"},
         {"self_attn.o_proj", "attn_output"},
         {"self_attn.q_norm", "attn_q_norm"},
         {"self_attn.k_norm", "attn_k_norm"},
         {"mlp.gate_proj", "ffn_gate"},
         {"mlp.up_proj", "ffn_up"},
         {"mlp.down_proj", "ffn_down"},
         {"pre_feedforward_layernorm", "ffn_norm"},
         {"input_layernorm", "attn_norm"}}};
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 2> output_norms{
        {{"post_attention_layernorm", "post_attention_norm"},
         {"post_feedforward_layernorm", "post_ffw_norm"}}};
    if (name == "model.embed_tokens.weight")
        return "token_embd.weight";
    if (name == "model.norm.weight")
        return "output_norm.weight";
    if (name == "lm_head.weight")
        return "output.weight";
    constexpr std::string_view layers = "model.layers.";
    const auto dot = name.find('.', layers.size());
    const std::string rest = name.substr(dot + 1);
    const auto translate = [&](std::string_view hf, std::string_view gguf) {
        return fmt::format("blk.{}.{}{}", name.substr(layers.size(), dot - layers.size()), gguf,
                           rest.substr(hf.size()));
    };
    for (const auto& [hf, gguf] : output_norms)
        if (rest.starts_with(hf))
            return translate(hf, config.output_norms ? gguf : "ffn_norm");
    for (const auto& [hf, gguf] : parts)
        if (rest.starts_with(hf))
            return translate(hf, gguf);
    throw Error("no GGUF name is known for parameter '" + name + "'");
}

/// GGUF stores the query and key rows of `llama` for interleaved rotary pairs; HF for half-split
/// ones.
at::Tensor to_half_split(const at::Tensor& weight, std::int64_t heads) {
    const std::int64_t rows = weight.size(0);
    return weight.view({heads, rows / heads / 2, 2, -1}).transpose(1, 2).reshape(weight.sizes());
}

void dequantise_rows(const TensorView& view, float* output) {
    const auto columns = static_cast<std::size_t>(view.shape.back());
    const std::size_t rows = view.count() / columns;
    const std::size_t row_bytes = view.data.size() / rows;
    at::parallel_for(0, static_cast<std::int64_t>(rows), 256,
                     [&](std::int64_t begin, std::int64_t end) {
                         TensorView part = view;
                         const auto first = static_cast<std::size_t>(begin);
                         const auto count = static_cast<std::size_t>(end - begin);
                         part.shape = {end - begin, view.shape.back()};
                         part.data = view.data.subspan(first * row_bytes, count * row_bytes);
                         dequantise(part, {output + first * columns, count * columns});
                     });
}

void assign(const std::filesystem::path& path, const TensorView* view, const std::string& name,
            at::Tensor& parameter) {
    if (view == nullptr)
        throw InputError(path.native(), fmt::format("tensor '{}' is missing", name));
    if (at::IntArrayRef(view->shape) != parameter.sizes())
        throw InputError(
            path.native(),
            fmt::format("tensor '{}' has shape [{}] where [{}] is expected", name,
                        fmt::join(view->shape, ", "), fmt::join(parameter.sizes().vec(), ", ")));
    if (parameter.device().is_cpu() && parameter.scalar_type() == at::kFloat)
        return dequantise_rows(*view, parameter.data_ptr<float>());
    const at::Tensor staged = at::empty(parameter.sizes(), at::kFloat);
    dequantise_rows(*view, staged.data_ptr<float>());
    parameter.copy_(staged);
}

/// The tensors of a model's files under HF's names and in HF's conventions.
class ModelWeights {
  public:
    ModelWeights(const std::filesystem::path& path, const ModelConfig& config)
        : path_(path), config_(config) {
        if (is_gguf(path))
            gguf_.emplace(path);
        else
            safetensors_.emplace(path);
    }

    void read(const std::string& name, at::Tensor& parameter) const {
        if (safetensors_) {
            const TensorView* view = safetensors_->find(name);
            if (view == nullptr)  // a model of text and images
                view = safetensors_->find("language_model." + name);
            return assign(path_, view, name, parameter);
        }
        const std::string stored = gguf_name(name, config_);
        assign(path_, gguf_->find(stored), stored, parameter);
        if (name.ends_with("norm.weight"))
            parameter.sub_(config_.norm_offset);  // GGUF has it added already
        if (config_.architecture != "llama")
            return;
        if (name.find("self_attn.q_proj") != std::string::npos)
            parameter.copy_(to_half_split(parameter, config_.num_attention_heads));
        else if (name.find("self_attn.k_proj") != std::string::npos)
            parameter.copy_(to_half_split(parameter, config_.num_key_value_heads));
    }

  private:
    const std::filesystem::path& path_;
    const ModelConfig& config_;
    std::optional<SafetensorsModel> safetensors_;
    std::optional<GgufFile> gguf_;
};

}  // namespace

CausalLm load_causal_lm(const std::filesystem::path& path, at::ScalarType dtype,
                        at::Device device) {
    const c10::AutoGradMode no_gradients(false);
    CausalLm model(load_model_config(path), dtype, device);
    const ModelWeights weights(path, model.config());
    for (auto& [name, tensor] : model.parameters())
        weights.read(name, tensor);
    return model;
}

CausalLm load_for_inference(const std::filesystem::path& path, at::ScalarType dtype,
                            at::Device device, const Communicator& node) {
    const c10::AutoGradMode no_gradients(false);
    const ModelConfig config = run_on_all(node, [&] { return load_model_config(path); });
    WeightMemory memory = device.is_cpu()
                              ? WeightMemory(node, CausalLm::inference_bytes(config, dtype, device))
                              : WeightMemory();
    return run_on_all(node, [&] {
        const ModelWeights weights(path, config);
        return CausalLm(
            config, dtype, device, memory,
            [&](const std::string& name, at::Tensor& parameter) { weights.read(name, parameter); });
    });
}

at::Device select_device(const std::string& name, int local_rank) {
    const int devices = at::detail::getCUDAHooks().deviceCount();
    if (name == "cpu" || (name == "auto" && devices <= 0))
        return at::kCPU;
    if (name != "auto" && name != "cuda")
        throw UsageError(fmt::format("run.device '{}' is not auto, cpu or cuda", name));
    if (devices <= 0)
        throw UsageError("run.device is cuda, but this build or machine has no GPU; use cpu");
    return {at::kCUDA, static_cast<c10::DeviceIndex>(local_rank % devices)};
}

}  // namespace popalign
