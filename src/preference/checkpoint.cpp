#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/base/hash.hpp>
#include <popalign/preference/checkpoint.hpp>
#include <popalign/store/safetensors.hpp>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

namespace popalign {
namespace {

constexpr std::string_view model_file = "model.safetensors";
constexpr std::string_view optimizer_file = "optimizer.safetensors";
constexpr std::string_view state_file = "state.json";
constexpr int format_version = 1;

/// Tensors under their names in the file.
std::vector<NamedParameter> optimizer_tensors(const CausalLm& model, AdamW& optimizer) {
    std::vector<NamedParameter> tensors;
    for (std::size_t i = 0; i < model.parameters().size(); ++i) {
        const std::string& name = model.parameters()[i].name;
        tensors.push_back({name + ".exp_avg", optimizer.means()[i]});
        tensors.push_back({name + ".exp_avg_sq", optimizer.squares()[i]});
    }
    return tensors;
}

/// Writes the tensors, then reads the file again and compares.
void write_tensors(const std::filesystem::path& path, const std::vector<NamedParameter>& tensors) {
    std::vector<at::Tensor> on_host;
    std::vector<TensorView> views;
    for (const auto& [name, tensor] : tensors) {
        if (tensor.scalar_type() != at::kFloat)
            throw Error("checkpoints hold float32 only; train with dtype float32");
        on_host.push_back(tensor.detach().to(at::kCPU).contiguous());
        views.push_back(
            {name,
             TensorType::f32,
             tensor.sizes().vec(),
             {static_cast<const std::byte*>(on_host.back().data_ptr()), on_host.back().nbytes()}});
    }
    write_safetensors(path, views);
    const SafetensorsModel written(path);
    for (const TensorView& view : views) {
        const TensorView* read = written.find(view.name);
        if (read == nullptr || read->shape != view.shape ||
            !std::equal(read->data.begin(), read->data.end(), view.data.begin(), view.data.end()))
            throw Error(fmt::format("{}: tensor {} reads back differently; check the file system",
                                    path.native(), view.name));
    }
}

void read_tensors(const std::filesystem::path& path, const std::vector<NamedParameter>& tensors) {
    const c10::NoGradGuard no_gradients;
    const SafetensorsModel file(path);
    for (const auto& [name, tensor] : tensors) {
        const TensorView* view = file.find(name);
        if (view == nullptr || view->type != TensorType::f32 || view->shape != tensor.sizes().vec())
            throw InputError(path.native(),
                             fmt::format("tensor {} is missing or has another shape; "
                                         "delete the checkpoint",
                                         name));
        at::Tensor host = at::empty(tensor.sizes(), at::kFloat);
        std::memcpy(host.data_ptr(), view->data.data(), view->data.size());
        tensor.detach().copy_(host);
    }
}

nlohmann::json describe_file(const std::filesystem::path& path) {
    return {{"bytes", std::filesystem::file_size(path)}, {"sha256", sha256_file(path)}};
}

nlohmann::json read_json(const std::filesystem::path& checkpoint) {
    const auto path = checkpoint / state_file;
    auto json = nlohmann::json::parse(read_text_file(path), nullptr, false);
    if (!json.is_object() || json.value("format_version", nlohmann::json()) != format_version)
        throw InputError(path.native(),
                         "not a checkpoint's state of format 1; delete the checkpoint");
    return json;
}

/// The step of "step-000010"; nothing for other names.
std::optional<std::int64_t> step_of(const std::filesystem::path& path) {
    constexpr std::string_view prefix = "step-";
    const std::string name = path.filename();
    std::int64_t step = 0;
    if (!name.starts_with(prefix))
        return std::nullopt;
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + prefix.size(), end, step);
    return parsed.ec == std::errc() && parsed.ptr == end ? std::optional(step) : std::nullopt;
}

/// Oldest first.
std::vector<std::pair<std::int64_t, std::filesystem::path>> checkpoints_in(
    const std::filesystem::path& directory) {
    std::vector<std::pair<std::int64_t, std::filesystem::path>> found;
    if (std::filesystem::is_directory(directory))
        for (const auto& entry : std::filesystem::directory_iterator(directory))
            if (const auto step = step_of(entry.path()))
                found.emplace_back(*step, entry.path());
    std::sort(found.begin(), found.end());
    return found;
}

}  // namespace

CheckpointStore::CheckpointStore(std::filesystem::path directory, std::int64_t keep)
    : directory_(std::move(directory)), keep_(static_cast<std::size_t>(keep)) {}

void CheckpointStore::save(const TrainingState& state, const CausalLm& model,
                           AdamW& optimizer) const {
    const auto path = directory_ / fmt::format("step-{:06}", state.step);
    const auto partial = partial_path(path);
    std::filesystem::remove_all(partial);
    std::filesystem::create_directories(partial);
    write_tensors(partial / model_file, model.parameters());
    write_tensors(partial / optimizer_file, optimizer_tensors(model, optimizer));
    const nlohmann::json json = {{"format_version", format_version},
                                 {"step", state.step},
                                 {"tokens", state.tokens},
                                 {"metrics_bytes", state.metrics_bytes},
                                 {"window", state.window},
                                 {"config", state.fingerprint},
                                 {"config_sha256", fingerprint_hash(state.fingerprint)},
                                 {"files",
                                  {{model_file, describe_file(partial / model_file)},
                                   {optimizer_file, describe_file(partial / optimizer_file)}}}};
    write_text_file(partial / state_file, json.dump(2) + "\n");
    std::filesystem::remove_all(path);
    commit_path(partial, path);

    // What a killed writer left behind.
    for (const auto& entry : std::filesystem::directory_iterator(directory_))
        if (entry.path().extension() == ".partial")
            std::filesystem::remove_all(entry.path());
    auto present = checkpoints_in(directory_);
    while (present.size() > keep_ && present.front().second != path) {
        std::filesystem::remove_all(present.front().second);
        present.erase(present.begin());
    }
}

std::optional<std::filesystem::path> CheckpointStore::latest() const {
    const auto present = checkpoints_in(directory_);
    return present.empty() ? std::nullopt : std::optional(present.back().second);
}

TrainingState CheckpointStore::read_state(const std::filesystem::path& checkpoint) {
    const auto json = read_json(checkpoint);
    try {
        TrainingState state;
        json.at("step").get_to(state.step);
        json.at("tokens").get_to(state.tokens);
        json.at("metrics_bytes").get_to(state.metrics_bytes);
        json.at("window").get_to(state.window);
        json.at("config").get_to(state.fingerprint);
        if (state.step < 0)
            throw Error("negative step");
        return state;
    } catch (const std::exception& error) {
        throw InputError((checkpoint / state_file).native(),
                         fmt::format("{}; delete the checkpoint", error.what()));
    }
}

void CheckpointStore::verify(const std::filesystem::path& checkpoint) {
    const auto json = read_json(checkpoint);
    for (const auto name : {model_file, optimizer_file}) {
        const auto path = checkpoint / name;
        const auto expected = json.value("files", nlohmann::json::object());
        if (!std::filesystem::is_regular_file(path) || !expected.contains(name) ||
            expected[std::string(name)] != describe_file(path))
            throw InputError(path.native(),
                             "differs from the hash in state.json (damaged); delete "
                             "the checkpoint");
    }
}

void CheckpointStore::load(const std::filesystem::path& checkpoint, CausalLm& model,
                           AdamW& optimizer) {
    read_tensors(checkpoint / model_file, model.parameters());
    read_tensors(checkpoint / optimizer_file, optimizer_tensors(model, optimizer));
}

}  // namespace popalign
