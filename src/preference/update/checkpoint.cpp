#include "preference/update/checkpoint.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/base/hash.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/store/weights/safetensors.hpp>
#include <popalign/store/weights/tensor_view.hpp>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

namespace popalign::preference {
namespace {

constexpr std::string_view state_file = "state.json";
constexpr int format_version = 2;

/// A slice's tensors in a file, by what they are.
struct SliceTensors {
    ParameterSlice slice;
    std::array<std::pair<std::string_view, at::Tensor>, 3> tensors;  ///< [count]
};

std::string tensor_name(std::string_view kind, std::int64_t begin) {
    return fmt::format("{}.{}", kind, begin);
}

std::vector<SliceTensors> tensors_of(const std::vector<ParameterSlice>& slices,
                                     ModelUpdate& update) {
    std::vector<SliceTensors> all;
    for (const ParameterSlice& slice : slices) {
        const auto part = [&](const at::Tensor& whole) {
            return whole.detach().narrow(0, slice.offset, slice.count);
        };
        all.push_back({slice,
                       {{{"values", part(update.parameters().values()[slice.bucket])},
                         {"exp_avg", part(update.optimizer().means()[slice.bucket])},
                         {"exp_avg_sq", part(update.optimizer().squares()[slice.bucket])}}}});
    }
    return all;
}

/// Lets go of pages of a mapped file, which would count as this rank's memory.
void forget(std::span<const std::byte> mapped) {
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const auto begin = (reinterpret_cast<std::uintptr_t>(mapped.data()) + page - 1) / page * page;
    const auto end = reinterpret_cast<std::uintptr_t>(mapped.data() + mapped.size()) / page * page;
    if (begin < end)  // advice: that it is not taken does no harm
        ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

/// Writes the tensors, then reads the file again and compares.
void write_shard(const std::filesystem::path& path, const std::vector<SliceTensors>& slices) {
    std::vector<at::Tensor> on_host;
    std::vector<store::TensorView> views;
    for (const auto& [slice, tensors] : slices)
        for (const auto& [kind, tensor] : tensors) {
            if (tensor.scalar_type() != at::kFloat)
                throw Error("checkpoints hold float32 only; train with dtype float32 or bfloat16");
            on_host.push_back(tensor.to(at::kCPU).contiguous());
            views.push_back({tensor_name(kind, slice.begin),
                             store::TensorType::f32,
                             {slice.count},
                             {static_cast<const std::byte*>(on_host.back().data_ptr()),
                              on_host.back().nbytes()}});
        }
    store::write_safetensors(path, views);
    const store::SafetensorsModel written(path);
    for (const store::TensorView& view : views) {
        const store::TensorView* read = written.find(view.name);
        if (read == nullptr || read->shape != view.shape ||
            !std::equal(read->data.begin(), read->data.end(), view.data.begin(), view.data.end()))
            throw Error(fmt::format("{}: tensor {} reads back differently; check the file system",
                                    path.native(), view.name));
        forget(read->data);
    }
}

/// A shard's entry in state.json.
nlohmann::json describe_shard(const std::filesystem::path& path,
                              const std::vector<ParameterSlice>& slices) {
    nlohmann::json description{{"name", path.filename()},
                               {"bytes", std::filesystem::file_size(path)},
                               {"sha256", sha256_file(path)},
                               {"slices", nlohmann::json::array()}};
    for (const ParameterSlice& slice : slices)
        description["slices"].push_back({slice.begin, slice.count});
    return description;
}

[[noreturn]] void throw_unusable(const std::filesystem::path& path, std::string_view why) {
    throw InputError(path.native(), fmt::format("{}; delete the checkpoint", why));
}

nlohmann::json read_json(const std::filesystem::path& checkpoint) {
    const auto path = checkpoint / state_file;
    auto json = nlohmann::json::parse(read_text_file(path), nullptr, false);
    if (!json.is_object() || json.value("format_version", nlohmann::json()) != format_version)
        throw_unusable(path, "not a checkpoint's state of format 2");
    return json;
}

/// A shard as state.json describes it, checked.
struct Shard {
    std::filesystem::path path;
    std::uint64_t bytes = 0;
    std::string sha256;
    std::vector<std::pair<std::int64_t, std::int64_t>> slices;  ///< begin, count
};

std::vector<Shard> shards_of(const std::filesystem::path& checkpoint, const nlohmann::json& json) {
    std::vector<Shard> shards;
    try {
        for (const auto& entry : json.at("shards")) {
            const std::filesystem::path name = entry.at("name").get<std::string>();
            if (name.has_parent_path())
                throw Error("a shard outside the checkpoint");
            shards.push_back({checkpoint / name, entry.at("bytes").get<std::uint64_t>(),
                              entry.at("sha256").get<std::string>(),
                              entry.at("slices").get<decltype(Shard::slices)>()});
        }
    } catch (const std::exception& error) {
        throw_unusable(checkpoint / state_file, error.what());
    }
    return shards;
}

/// Copies what a shard holds of the slices; returns the elements copied.
std::int64_t read_shard(const Shard& shard, const std::vector<SliceTensors>& slices) {
    std::int64_t copied = 0;
    std::optional<store::SafetensorsModel> file;
    for (const auto& [begin, count] : shard.slices)
        for (const auto& [slice, tensors] : slices) {
            const std::int64_t first = std::max(begin, slice.begin);
            const std::int64_t last = std::min(begin + count, slice.begin + slice.count);
            if (first >= last)
                continue;
            if (!file)
                file.emplace(shard.path);
            for (const auto& [kind, tensor] : tensors) {
                const store::TensorView* view = file->find(tensor_name(kind, begin));
                if (view == nullptr || view->type != store::TensorType::f32 ||
                    view->count() != static_cast<std::size_t>(count))
                    throw_unusable(shard.path, "a tensor is missing or has another shape");
                at::Tensor host = at::empty({last - first}, at::kFloat);
                std::memcpy(host.data_ptr(),
                            view->data.data() + static_cast<std::size_t>(first - begin) * 4,
                            host.nbytes());
                tensor.narrow(0, first - slice.begin, last - first).copy_(host);
            }
            copied += last - first;
        }
    return copied;
}

/// Takes what this rank holds from the shards.
void read_shards(const std::filesystem::path& checkpoint, ModelUpdate& update) {
    const c10::NoGradGuard no_gradients;
    const auto json = read_json(checkpoint);
    if (json.value("elements", std::int64_t{-1}) != update.parameters().elements())
        throw_unusable(checkpoint / state_file, "of a model of another size");
    const auto held = update.parameters().held();
    const auto slices = tensors_of(held, update);
    std::int64_t missing = 0;
    for (const ParameterSlice& slice : held)
        missing += slice.count;
    for (const Shard& shard : shards_of(checkpoint, json))
        missing -= read_shard(shard, slices);
    if (missing != 0)
        throw_unusable(checkpoint, "its shards do not hold every parameter once");
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

CheckpointStore::CheckpointStore(const comm::Communicator& comm, std::filesystem::path directory,
                                 std::int64_t keep)
    : comm_(comm), directory_(std::move(directory)), keep_(static_cast<std::size_t>(keep)) {}

void CheckpointStore::save(const TrainingState& state, ModelUpdate& update) const {
    const auto path = directory_ / fmt::format("step-{:06}", state.step);
    const auto partial = partial_path(path);
    comm::run_on_all(comm_, [&] {
        if (!comm_.is_root())
            return;
        std::filesystem::remove_all(partial);
        std::filesystem::create_directories(partial);
    });
    const std::string mine = comm::run_on_all(comm_, [&] {
        const auto shard =
            partial / fmt::format("shard-{:05}-of-{:05}.safetensors", comm_.rank(), comm_.size());
        const auto slices = update.parameters().written();
        write_shard(shard, tensors_of(slices, update));
        return describe_shard(shard, slices).dump();
    });
    const std::vector<std::string> shards = comm::all_gather_objects(comm_, mine);
    comm::run_on_all(comm_, [&] {
        if (!comm_.is_root())
            return;
        nlohmann::json json{{"format_version", format_version},
                            {"step", state.step},
                            {"tokens", state.tokens},
                            {"metrics_bytes", state.metrics_bytes},
                            {"window", state.window},
                            {"config", state.fingerprint},
                            {"config_sha256", fingerprint_hash(state.fingerprint)},
                            {"elements", update.parameters().elements()}};
        for (const std::string& shard : shards)
            json["shards"].push_back(nlohmann::json::parse(shard));
        write_text_file(partial / state_file, json.dump(2) + "\n");
        if (std::filesystem::exists(path))  // of a run that went on from an older one
            std::filesystem::rename(path, partial_path(path.native() + ".old"));
        commit_path(partial, path);
        remove_older(path);
    });
}

void CheckpointStore::remove_older(const std::filesystem::path& newest) const {
    // Remains of a killed writer.
    std::vector<std::filesystem::path> partial;
    for (const auto& entry : std::filesystem::directory_iterator(directory_))
        if (entry.path().extension() == ".partial")
            partial.push_back(entry.path());
    for (const auto& path : partial)
        std::filesystem::remove_all(path);
    auto present = checkpoints_in(directory_);
    while (present.size() > keep_ && present.front().second != newest) {
        std::filesystem::remove_all(present.front().second);
        present.erase(present.begin());
    }
}

std::optional<std::filesystem::path> CheckpointStore::latest() const {
    // File systems do not show all nodes the same at once: one rank decides.
    const std::string name = comm::broadcast_object(
        comm_, comm::run_on_all(comm_, [&] {
            if (!comm_.is_root())
                return std::string();
            const auto present = checkpoints_in(directory_);
            return present.empty() ? std::string() : present.back().second.filename().native();
        }));
    return name.empty() ? std::nullopt : std::optional(directory_ / name);
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

void CheckpointStore::verify(const std::filesystem::path& checkpoint) const {
    comm::run_on_all(comm_, [&] {
        const auto shards = shards_of(checkpoint, read_json(checkpoint));
        const auto ranks = static_cast<std::size_t>(comm_.size());
        for (auto i = static_cast<std::size_t>(comm_.rank()); i < shards.size(); i += ranks)
            if (!std::filesystem::is_regular_file(shards[i].path) ||
                std::filesystem::file_size(shards[i].path) != shards[i].bytes ||
                sha256_file(shards[i].path) != shards[i].sha256)
                throw_unusable(shards[i].path, "differs from the hash in state.json (damaged)");
    });
}

void CheckpointStore::load(const std::filesystem::path& checkpoint, std::int64_t updates,
                           ModelUpdate& update) const {
    verify(checkpoint);
    comm::run_on_all(comm_, [&] { read_shards(checkpoint, update); });
    update.optimizer().set_steps(updates);
    update.parameters().publish();
}

}  // namespace popalign::preference
