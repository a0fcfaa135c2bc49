#include "lm/text/model_files.hpp"
#include "lm/transformer/weight_memory.hpp"

#include <popalign/base/error.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>
#include <popalign/lm/checkpoint/language_model.hpp>
#include <popalign/lm/checkpoint/reward_model.hpp>
#include <popalign/lm/transformer/causal_lm.hpp>
#include <popalign/lm/transformer/model_config.hpp>
#include <popalign/lm/transformer/tensor_parallel.hpp>
#include <popalign/store/weights/gguf.hpp>
#include <popalign/store/weights/safetensors.hpp>
#include <popalign/store/weights/tensor_view.hpp>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/GradMode.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace popalign::lm {
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

void dequantise_rows(const store::TensorView& view, float* output) {
    const auto columns = static_cast<std::size_t>(view.shape.back());
    const std::size_t rows = view.count() / columns;
    const std::size_t row_bytes = view.data.size() / rows;
    at::parallel_for(0, static_cast<std::int64_t>(rows), 256,
                     [&](std::int64_t begin, std::int64_t end) {
                         store::TensorView part = view;
                         const auto first = static_cast<std::size_t>(begin);
                         const auto count = static_cast<std::size_t>(end - begin);
                         part.shape = {end - begin, view.shape.back()};
                         part.data = view.data.subspan(first * row_bytes, count * row_bytes);
                         store::dequantise(part, {output + first * columns, count * columns});
                     });
}

/// The part of a stored tensor that a parameter is: some of its rows, or some of its columns.
struct Slice {
    enum class Of { nothing, rows, columns } of = Of::nothing;
    std::int64_t first = 0, whole = 0;
};

at::Tensor dequantised(const store::TensorView& view, std::int64_t first, std::int64_t count) {
    store::TensorView part = view;
    const auto row_bytes = view.data.size() / static_cast<std::size_t>(view.shape.front());
    part.shape.front() = count;
    part.data = view.data.subspan(static_cast<std::size_t>(first) * row_bytes,
                                  static_cast<std::size_t>(count) * row_bytes);
    at::Tensor values = at::empty(part.shape, at::kFloat);
    dequantise_rows(part, values.data_ptr<float>());
    return values;
}

void assign(const std::filesystem::path& path, const store::TensorView* view,
            const std::string& name, const Slice& slice, at::Tensor& parameter) {
    if (view == nullptr)
        throw InputError(path.native(), fmt::format("tensor '{}' is missing", name));
    std::vector<std::int64_t> whole = parameter.sizes().vec();
    if (slice.of != Slice::Of::nothing)
        whole.at(slice.of == Slice::Of::columns ? 1 : 0) = slice.whole;
    if (view->shape != whole)
        throw InputError(path.native(),
                         fmt::format("tensor '{}' has shape [{}] where [{}] is expected", name,
                                     fmt::join(view->shape, ", "), fmt::join(whole, ", ")));
    if (view->shape == parameter.sizes().vec() && parameter.device().is_cpu() &&
        parameter.scalar_type() == at::kFloat)
        return dequantise_rows(*view, parameter.data_ptr<float>());
    if (slice.of == Slice::Of::rows && view->shape.size() == 2) {
        parameter.copy_(dequantised(*view, slice.first, parameter.size(0)));
        return;
    }
    constexpr std::int64_t block = 1024;
    if (slice.of == Slice::Of::columns) {
        for (std::int64_t row = 0; row < parameter.size(0); row += block) {
            const std::int64_t count = std::min(block, parameter.size(0) - row);
            parameter.narrow(0, row, count)
                .copy_(dequantised(*view, row, count).narrow(1, slice.first, parameter.size(1)));
        }
        return;
    }
    const at::Tensor staged = at::empty(view->shape, at::kFloat);
    dequantise_rows(*view, staged.data_ptr<float>());
    parameter.copy_(slice.of == Slice::Of::rows ? staged.narrow(0, slice.first, parameter.size(0))
                                                : staged);
}

/// The tensors of a model's files under HF's names and in HF's conventions.
class ModelWeights {
  public:
    ModelWeights(const std::filesystem::path& path, const ModelConfig& config,
                 const TensorParallel& parallel)
        : path_(path), config_(config), parallel_(parallel), part_(parallel.slice(config)) {
        if (is_gguf(path))
            gguf_.emplace(path);
        else
            safetensors_.emplace(path);
    }

    void read(const std::string& name, at::Tensor& parameter) const {
        if (safetensors_) {
            const store::TensorView* view = safetensors_->find(name);
            if (view == nullptr)  // a model of text and images
                view = safetensors_->find("language_model." + name);
            return assign(path_, view, name, slice(name, parameter), parameter);
        }
        const std::string stored = gguf_name(name, config_);
        assign(path_, gguf_->find(stored), stored, slice(name, parameter), parameter);
        if (name.ends_with("norm.weight"))
            parameter.sub_(config_.norm_offset);  // GGUF has it added already
        if (config_.architecture != "llama")
            return;
        if (name.find("self_attn.q_proj") != std::string::npos)
            parameter.copy_(to_half_split(parameter, part_.num_attention_heads));
        else if (name.find("self_attn.k_proj") != std::string::npos)
            parameter.copy_(to_half_split(parameter, part_.num_key_value_heads));
    }

  private:
    Slice slice(const std::string& name, const at::Tensor& parameter) const {
        if (parallel_.size() == 1)
            return {};
        if (name == "model.embed_tokens.weight" || name == "lm_head.weight")
            return {Slice::Of::rows, static_cast<std::int64_t>(parallel_.vocabulary(config_).begin),
                    config_.vocab_size};
        const auto holds = [&](std::initializer_list<const char*> parts) {
            return std::any_of(parts.begin(), parts.end(), [&](const char* part) {
                return name.find(part) != std::string::npos;
            });
        };
        const auto equal_part = [&](Slice::Of of, std::int64_t mine) {
            return Slice{of, parallel_.rank() * mine, parallel_.size() * mine};
        };
        if (holds({"q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"}))
            return equal_part(Slice::Of::rows, parameter.size(0));
        if (holds({"o_proj", "down_proj"}))
            return equal_part(Slice::Of::columns, parameter.size(1));
        return {};
    }

    const std::filesystem::path& path_;
    const ModelConfig& config_;
    const TensorParallel& parallel_;
    ModelConfig part_;
    std::optional<store::SafetensorsModel> safetensors_;
    std::optional<store::GgufFile> gguf_;
};

void refuse_reward_model(const std::filesystem::path& path) {
    if (is_reward_model(path))
        throw InputError(path.native(),
                         "a reward model scores answers and gives none; use it with "
                         "`evaluate preference`, as a judge or to start objective reward");
}

}  // namespace

CausalLm load_causal_lm(const std::filesystem::path& path, at::ScalarType dtype,
                        at::Device device) {
    const c10::AutoGradMode no_gradients(false);
    refuse_reward_model(path);
    CausalLm model(load_model_config(path), dtype, device);
    const TensorParallel alone;
    const ModelWeights weights(path, model.config(), alone);
    for (auto& [name, tensor] : model.parameters())
        weights.read(name, tensor);
    return model;
}

CausalLm load_reward_model(const std::filesystem::path& path, at::ScalarType dtype,
                           at::Device device, std::uint64_t seed) {
    const c10::AutoGradMode no_gradients(false);
    const bool has_head = is_reward_model(path);
    CausalLm model(load_model_config(path), dtype, device);
    std::erase_if(model.parameters(), [](const NamedParameter& parameter) {
        return parameter.name == "lm_head.weight";
    });
    const TensorParallel alone;
    const ModelWeights weights(path, model.config(), alone);
    for (auto& [name, tensor] : model.parameters())
        weights.read(name, tensor);
    // As transformers initialises a head that a checkpoint lacks.
    at::Tensor head = at::empty({1, model.config().hidden_size}, at::kFloat)
                          .normal_(0, 0.02, at::detail::createCPUGenerator(seed))
                          .to(device, dtype);
    if (has_head)
        weights.read("score.weight", head);
    model.parameters().push_back({"score.weight", head});
    return model;
}

CausalLm load_for_inference(const std::filesystem::path& path, at::ScalarType dtype,
                            at::Device device, const comm::Communicator& node,
                            const TensorParallel& parallel) {
    const c10::AutoGradMode no_gradients(false);
    std::size_t bytes = 0;
    const ModelConfig config = comm::run_on_all(node, [&] {
        refuse_reward_model(path);
        ModelConfig read = load_model_config(path);
        bytes = CausalLm::inference_bytes(read, dtype, device, parallel);
        return read;
    });
    // Ranks with the same slice share it.
    const comm::Communicator same = parallel.size() == 1 ? node : node.split(parallel.rank());
    WeightMemory memory = device.is_cpu() ? WeightMemory(same, bytes) : WeightMemory();
    return comm::run_on_all(node, [&] {
        const ModelWeights weights(path, config, parallel);
        return CausalLm(
            config, dtype, device, memory,
            [&](const std::string& name, at::Tensor& parameter) { weights.read(name, parameter); },
            parallel);
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

}  // namespace popalign::lm
