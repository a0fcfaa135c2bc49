#include "lm/text/model_files.hpp"
#include "lm/transformer/inference_weights.hpp"
#include "lm/transformer/weight_memory.hpp"

#include <popalign/base/error.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>
#include <popalign/lm/checkpoint/language_model.hpp>
#include <popalign/lm/transformer/architecture.hpp>
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
#include <memory>
#include <optional>

namespace popalign::lm {
namespace {

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

/// Reads a part of a stored tensor.
void assign(const store::TensorView& view, const WeightSlice& slice, at::Tensor& weight) {
    const bool all = view.shape == weight.sizes().vec();
    if (all && weight.device().is_cpu() && weight.scalar_type() == at::kFloat)
        return dequantise_rows(view, weight.data_ptr<float>());
    if (slice.dimension == 0) {
        weight.copy_(dequantised(view, slice.begin, weight.size(0)));
        return;
    }
    constexpr std::int64_t block = 1024;
    for (std::int64_t row = 0; row < weight.size(0); row += block) {
        const std::int64_t count = std::min(block, weight.size(0) - row);
        weight.narrow(0, row, count)
            .copy_(dequantised(view, row, count).narrow(1, slice.begin, weight.size(1)));
    }
}

/// The tensors of a model's files, by the table of its weights and in HF's conventions.
class WeightFiles {
  public:
    WeightFiles(const std::filesystem::path& path, const ModelConfig& config)
        : path_(path), config_(config) {
        if (is_gguf(path))
            gguf_.emplace(path);
        else
            safetensors_.emplace(path);
    }

    /// Throws InputError for a missing or misshapen tensor, by its name in the file.
    void read(const WeightSpec& spec, const WeightSlice& slice, at::Tensor& weight) const {
        if (safetensors_) {
            const store::TensorView* view = safetensors_->find(spec.hf_name);
            if (view == nullptr)  // a model of text and images
                view = safetensors_->find("language_model." + spec.hf_name);
            return assign(checked(view, spec.hf_name, spec.shape), slice, weight);
        }
        assign(checked(gguf_->find(spec.gguf_name), spec.gguf_name, spec.shape), slice, weight);
        if (spec.gguf_form == GgufForm::offset_added)
            weight.sub_(config_.norm_offset);
        else if (spec.gguf_form == GgufForm::interleaved)
            weight.copy_(to_half_split(weight, weight.size(0) / config_.head_dim));
    }

  private:
    const store::TensorView& checked(const store::TensorView* view, const std::string& name,
                                     const std::vector<std::int64_t>& shape) const {
        if (view == nullptr)
            throw InputError(path_.native(), fmt::format("tensor '{}' is missing", name));
        if (view->shape != shape)
            throw InputError(path_.native(),
                             fmt::format("tensor '{}' has shape [{}] where [{}] is expected", name,
                                         fmt::join(view->shape, ", "), fmt::join(shape, ", ")));
        return *view;
    }

    const std::filesystem::path& path_;
    const ModelConfig& config_;
    std::optional<store::SafetensorsModel> safetensors_;
    std::optional<store::GgufFile> gguf_;
};

void read_parameters(const WeightFiles& files, TrainableLm& model) {
    const TensorParallel alone;
    for (const WeightSpec& spec : weight_specs(model.config()))
        if (!(spec.name == "lm_head" && model.is_reward_model()))
            files.read(spec, alone.slice(spec), model.parameter(spec.hf_name));
}

void refuse_reward_model(const std::filesystem::path& path) {
    if (is_reward_model(path))
        throw InputError(path.native(),
                         "a reward model scores answers and gives none; use it with "
                         "`evaluate preference`, as a judge or to start objective reward");
}

}  // namespace

TrainableLm load_causal_lm(const std::filesystem::path& path, at::ScalarType dtype,
                           at::Device device) {
    const c10::AutoGradMode no_gradients(false);
    refuse_reward_model(path);
    TrainableLm model(load_model_config(path), dtype, device);
    read_parameters(WeightFiles(path, model.config()), model);
    return model;
}

TrainableLm load_reward_model(const std::filesystem::path& path, at::ScalarType dtype,
                              at::Device device, std::uint64_t seed) {
    const c10::AutoGradMode no_gradients(false);
    const bool has_head = is_reward_model(path);
    TrainableLm model(load_model_config(path), dtype, device, OutputHead::score);
    const WeightFiles files(path, model.config());
    read_parameters(files, model);
    at::Tensor& head = model.parameter("score.weight");
    WeightSpec score;
    score.hf_name = "score.weight";
    score.shape = head.sizes().vec();
    if (has_head)
        files.read(score, {0, 0, 1}, head);
    else  // as transformers initialises a head that a checkpoint lacks
        head.copy_(at::empty(head.sizes(), at::kFloat)
                       .normal_(0, 0.02, at::detail::createCPUGenerator(seed)));
    return model;
}

CausalLm load_for_inference(const std::filesystem::path& path, at::ScalarType dtype,
                            at::Device device, const comm::Communicator& node,
                            const TensorParallel& parallel) {
    const c10::AutoGradMode no_gradients(false);
    const auto options = at::TensorOptions().dtype(dtype).device(device);
    std::size_t bytes = 0;
    const ModelConfig config = comm::run_on_all(node, [&] {
        refuse_reward_model(path);
        ModelConfig read = load_model_config(path);
        parallel.slice(read);  // refuses what cannot be divided
        bytes = InferenceWeights::bytes(read, options, parallel);
        return read;
    });
    // Ranks with the same slice share it.
    const comm::Communicator same = parallel.size() == 1 ? node : node.split(parallel.rank());
    WeightMemory memory = device.is_cpu() ? WeightMemory(same, bytes) : WeightMemory();
    return comm::run_on_all(node, [&] {
        const WeightFiles files(path, config);
        const auto read = [&](const WeightSpec& spec, const WeightSlice& slice,
                              at::Tensor& weight) { files.read(spec, slice, weight); };
        return CausalLm(config, dtype, device,
                        std::make_shared<InferenceWeights>(config, options, memory, read, parallel),
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
