#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/store/weights/safetensors.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstring>
#include <set>

namespace popalign::store {
namespace {

constexpr std::uint64_t largest_header = 100'000'000;  // as in the reference implementation
constexpr std::uint64_t largest_count = std::uint64_t{1} << 40;

TensorType parse_type(const std::string& name, const std::string& tensor,
                      const std::filesystem::path& path) {
    if (name == "F32")
        return TensorType::f32;
    if (name == "F16")
        return TensorType::f16;
    if (name == "BF16")
        return TensorType::bf16;
    throw InputError(
        path.native(),
        fmt::format("tensor '{}' has the type {}, which is not supported (F32, F16 and "
                    "BF16 are)",
                    tensor, name));
}

struct Header {
    nlohmann::json json;
    std::span<const std::byte> data;
};

/// u64 length, JSON of that length, then the tensors' bytes.
Header read_header(const MappedFile& file, const std::filesystem::path& path) {
    const auto bytes = file.bytes();
    std::uint64_t length = 0;
    if (bytes.size() >= sizeof length)
        std::memcpy(&length, bytes.data(), sizeof length);
    if (bytes.size() < sizeof length || length > bytes.size() - sizeof length)
        throw InputError(path.native(),
                         fmt::format("truncated safetensors (its header goes on behind byte {}, "
                                     "where the file ends); download it again",
                                     bytes.size()));
    if (length > largest_header)
        throw InputError(path.native(), "damaged safetensors (its header is absurdly long)");
    const auto* text = reinterpret_cast<const char*>(bytes.data()) + sizeof length;
    auto json = nlohmann::json::parse(text, text + length, nullptr, false);
    if (!json.is_object())
        throw InputError(path.native(), "damaged safetensors (its header is no JSON object)");
    return {std::move(json), bytes.subspan(sizeof length + length)};
}

std::vector<std::uint64_t> unsigned_numbers(const nlohmann::json& list, const std::string& tensor,
                                            const std::filesystem::path& path) {
    const auto fits = [](const auto& item) { return item.is_number_unsigned(); };
    if (!list.is_array() || !std::ranges::all_of(list, fits))
        throw InputError(
            path.native(),
            fmt::format("damaged safetensors (tensor '{}': not a list of whole numbers)", tensor));
    return list.get<std::vector<std::uint64_t>>();
}

TensorView read_entry(const std::string& name, const nlohmann::json& entry,
                      std::span<const std::byte> data, const std::filesystem::path& path) {
    TensorView view;
    view.name = name;
    view.type = parse_type(entry.at("dtype").get<std::string>(), name, path);
    std::uint64_t count = 1;
    for (const std::uint64_t size : unsigned_numbers(entry.at("shape"), name, path)) {
        if (size > largest_count / std::max<std::uint64_t>(count, 1))
            throw InputError(path.native(), fmt::format("tensor '{}' has an absurd shape", name));
        count *= size;
        view.shape.push_back(static_cast<std::int64_t>(size));
    }
    const auto offsets = unsigned_numbers(entry.at("data_offsets"), name, path);
    if (offsets.size() != 2)
        throw InputError(path.native(),
                         fmt::format("damaged safetensors (tensor '{}' has no two offsets)", name));
    const std::uint64_t begin = offsets[0], end = offsets[1];
    if (end > data.size())
        throw InputError(path.native(),
                         fmt::format("truncated safetensors (tensor '{}' ends at byte {} of {}); "
                                     "download it again",
                                     name, end, data.size()));
    if (begin > end || end - begin != storage_bytes(view.type, count))
        throw InputError(
            path.native(),
            fmt::format("damaged safetensors (the size of tensor '{}' does not fit its "
                        "shape)",
                        name));
    view.data = data.subspan(begin, end - begin);
    return view;
}

void check_overlaps(std::span<const TensorView> tensors, const std::filesystem::path& path) {
    std::vector<const TensorView*> in_order;
    for (const TensorView& tensor : tensors)
        if (!tensor.data.empty())
            in_order.push_back(&tensor);
    std::ranges::sort(in_order, {}, [](const TensorView* tensor) { return tensor->data.data(); });
    for (std::size_t i = 1; i < in_order.size(); ++i)
        if (const auto before = in_order[i - 1]->data;
            before.data() + before.size() > in_order[i]->data.data())
            throw InputError(path.native(),
                             fmt::format("damaged safetensors (tensors '{}' and '{}' overlap)",
                                         in_order[i - 1]->name, in_order[i]->name));
}

/// The weight files of a directory.
std::vector<std::filesystem::path> list_files(const std::filesystem::path& directory) {
    const auto index = directory / "model.safetensors.index.json";
    if (const auto single = directory / "model.safetensors"; std::filesystem::exists(single))
        return {single};
    if (!std::filesystem::exists(index))
        throw InputError(directory.native(),
                         "no model.safetensors and no model.safetensors.index.json in it");
    const auto json = nlohmann::json::parse(read_text_file(index), nullptr, false);
    std::set<std::string> names;
    try {
        for (const auto& [tensor, file] : json.at("weight_map").items())
            names.insert(file.get<std::string>());
    } catch (const nlohmann::json::exception& error) {
        throw InputError(index.native(), fmt::format("no usable weight_map ({})", error.what()));
    }
    std::vector<std::filesystem::path> files;
    for (const std::string& name : names) {
        if (name.find('/') != std::string::npos || !std::filesystem::exists(directory / name))
            throw InputError(index.native(),
                             fmt::format("names the shard '{}', which is not beside "
                                         "it; download it",
                                         name));
        files.push_back(directory / name);
    }
    return files;
}

}  // namespace

struct SafetensorsModel::Contents {
    std::vector<std::filesystem::path> paths;
    std::vector<MappedFile> files;
    std::vector<TensorView> tensors;
    std::map<std::string, std::size_t, std::less<>> by_name;

    void add(const std::filesystem::path& path) {
        paths.push_back(path);
        const std::size_t before = tensors.size();
        const Header header = read_header(files.emplace_back(path), path);
        for (const auto& [name, entry] : header.json.items()) {
            if (name == "__metadata__")
                continue;
            try {
                tensors.push_back(read_entry(name, entry, header.data, path));
            } catch (const nlohmann::json::exception& error) {
                throw InputError(path.native(), fmt::format("damaged safetensors (tensor '{}': {})",
                                                            name, error.what()));
            }
            if (!by_name.emplace(name, tensors.size() - 1).second)
                throw InputError(path.native(), fmt::format("tensor '{}' stands twice", name));
        }
        check_overlaps(std::span(tensors).subspan(before), path);
    }
};

SafetensorsModel::SafetensorsModel(const std::filesystem::path& path)
    : contents_(std::make_unique<Contents>()) {
    if (!std::filesystem::exists(path))
        throw InputError(path.native(), "no such file or directory");
    for (const auto& file : std::filesystem::is_directory(path)
                                ? list_files(path)
                                : std::vector<std::filesystem::path>{path})
        contents_->add(file);
}
SafetensorsModel::SafetensorsModel(SafetensorsModel&&) noexcept = default;
SafetensorsModel& SafetensorsModel::operator=(SafetensorsModel&&) noexcept = default;
SafetensorsModel::~SafetensorsModel() = default;

const std::vector<TensorView>& SafetensorsModel::tensors() const noexcept {
    return contents_->tensors;
}
const std::vector<std::filesystem::path>& SafetensorsModel::files() const noexcept {
    return contents_->paths;
}

const TensorView* SafetensorsModel::find(std::string_view name) const noexcept {
    const auto found = contents_->by_name.find(name);
    return found == contents_->by_name.end() ? nullptr : &contents_->tensors[found->second];
}

void write_safetensors(const std::filesystem::path& path, std::span<const TensorView> tensors,
                       const std::map<std::string, std::string>& metadata) {
    nlohmann::ordered_json header;
    if (!metadata.empty())
        header["__metadata__"] = metadata;
    std::uint64_t offset = 0;
    for (const TensorView& tensor : tensors) {
        if (tensor.type != TensorType::f32 && tensor.type != TensorType::f16 &&
            tensor.type != TensorType::bf16)
            throw UsageError(fmt::format("tensor '{}': {} cannot be written as safetensors",
                                         tensor.name, tensor_type_name(tensor.type)));
        header[tensor.name] = {{"dtype", tensor_type_name(tensor.type)},
                               {"shape", tensor.shape},
                               {"data_offsets", {offset, offset + tensor.data.size()}}};
        offset += tensor.data.size();
    }
    std::string text;
    try {
        text = header.dump();
    } catch (const nlohmann::json::exception& error) {  // a name that is not UTF-8
        throw UsageError(fmt::format("{}: cannot be written ({})", path.native(), error.what()));
    }
    text.append((8 - text.size() % 8) % 8, ' ');
    const std::uint64_t length = text.size();
    AtomicFile file(path);
    file.write(std::as_bytes(std::span(&length, 1)));
    file.write(text);
    for (const TensorView& tensor : tensors)
        file.write(tensor.data);
    file.commit();
}

}  // namespace popalign::store
