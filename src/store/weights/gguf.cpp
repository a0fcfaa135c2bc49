#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/store/weights/gguf.hpp>

#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <limits>
#include <variant>

namespace popalign::store {
namespace {

// Layout (ggml's gguf.h): "GGUF", u32 version, u64 tensors, u64 pairs; the pairs (key, u32 type,
// value); the tensor table (name, u32 dimensions, u64 sizes innermost first, u32 type, u64 offset);
// padding to `general.alignment`; the data.
constexpr std::uint32_t magic = 0x46554747;
constexpr std::size_t largest_string = std::size_t{1} << 28;

enum class ValueType : std::uint32_t {
    u8,
    i8,
    u16,
    i16,
    u32,
    i32,
    f32,
    boolean,
    text,
    array,
    u64,
    i64,
    f64
};

using Array =
    std::variant<std::vector<std::int64_t>, std::vector<double>, std::vector<std::string>>;
using Value = std::variant<std::int64_t, double, std::string, Array>;

class Cursor {
  public:
    Cursor(std::span<const std::byte> data, const std::filesystem::path& path)
        : data_(data), path_(path) {}

    std::size_t position() const { return position_; }
    std::size_t left() const { return data_.size() - position_; }

    template <class T>
    T read() {
        need(sizeof(T), "its header");
        T value;
        std::memcpy(&value, data_.data() + position_, sizeof(T));
        position_ += sizeof(T);
        return value;
    }
    std::string read_string() {
        const auto length = read<std::uint64_t>();
        if (length > largest_string)
            fail("a text in its header is absurdly long");
        need(length, "its header");
        std::string value(reinterpret_cast<const char*>(data_.data() + position_), length);
        position_ += length;
        return value;
    }
    void need(std::uint64_t bytes, std::string_view what) const {
        if (bytes > left())
            throw InputError(
                path_.native(),
                fmt::format("truncated GGUF ({} goes on behind byte {}, where the file "
                            "ends); download it again",
                            what, data_.size()));
    }
    [[noreturn]] void fail(std::string_view problem) const {
        throw InputError(path_.native(), fmt::format("damaged GGUF ({})", problem));
    }

  private:
    std::span<const std::byte> data_;
    const std::filesystem::path& path_;
    std::size_t position_ = 0;
};

std::variant<std::int64_t, double, std::string> read_scalar(Cursor& in, ValueType type) {
    switch (type) {
        case ValueType::u8:
            return std::int64_t{in.read<std::uint8_t>()};
        case ValueType::i8:
            return std::int64_t{in.read<std::int8_t>()};
        case ValueType::u16:
            return std::int64_t{in.read<std::uint16_t>()};
        case ValueType::i16:
            return std::int64_t{in.read<std::int16_t>()};
        case ValueType::u32:
            return std::int64_t{in.read<std::uint32_t>()};
        case ValueType::i32:
            return std::int64_t{in.read<std::int32_t>()};
        case ValueType::boolean:
            return std::int64_t{in.read<std::uint8_t>() != 0 ? 1 : 0};
        case ValueType::i64:
            return in.read<std::int64_t>();
        case ValueType::u64:
            return static_cast<std::int64_t>(std::min<std::uint64_t>(
                in.read<std::uint64_t>(), std::numeric_limits<std::int64_t>::max()));
        case ValueType::f32:
            return static_cast<double>(in.read<float>());
        case ValueType::f64:
            return in.read<double>();
        case ValueType::text:
            return in.read_string();
        case ValueType::array:
            break;
    }
    in.fail("a metadata value has an unknown type");
}

Array read_array(Cursor& in) {
    const auto type = static_cast<ValueType>(in.read<std::uint32_t>());
    const auto count = in.read<std::uint64_t>();
    in.need(count, "an array of its header");  // every element takes a byte at least
    if (type == ValueType::text) {
        std::vector<std::string> values;
        for (std::uint64_t i = 0; i < count; ++i)
            values.push_back(in.read_string());
        return values;
    }
    if (type == ValueType::f32 || type == ValueType::f64) {
        std::vector<double> values;
        for (std::uint64_t i = 0; i < count; ++i)
            values.push_back(std::get<double>(read_scalar(in, type)));
        return values;
    }
    std::vector<std::int64_t> values;
    for (std::uint64_t i = 0; i < count; ++i)
        values.push_back(std::get<std::int64_t>(read_scalar(in, type)));
    return values;
}

Value read_value(Cursor& in) {
    const auto type = static_cast<ValueType>(in.read<std::uint32_t>());
    if (type == ValueType::array)
        return read_array(in);
    return std::visit([](auto&& value) -> Value { return value; }, read_scalar(in, type));
}

TensorType tensor_type(std::uint32_t number, const std::string& name,
                       const std::filesystem::path& path) {
    static const std::map<std::uint32_t, TensorType> types{
        {0, TensorType::f32},   {1, TensorType::f16},   {2, TensorType::q4_0},
        {3, TensorType::q4_1},  {6, TensorType::q5_0},  {7, TensorType::q5_1},
        {8, TensorType::q8_0},  {12, TensorType::q4_k}, {13, TensorType::q5_k},
        {14, TensorType::q6_k}, {30, TensorType::bf16}};
    const auto found = types.find(number);
    if (found == types.end())
        throw InputError(
            path.native(),
            fmt::format("tensor '{}' has the type number {}, which is not supported "
                        "(F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K and "
                        "Q6_K are)",
                        name, number));
    return found->second;
}

struct PlacedTensor {
    TensorView view;
    std::uint64_t offset;
};

PlacedTensor read_tensor(Cursor& in, const std::filesystem::path& path) {
    PlacedTensor tensor{};
    tensor.view.name = in.read_string();
    const auto dimensions = in.read<std::uint32_t>();
    if (dimensions < 1 || dimensions > 4)
        in.fail(fmt::format("tensor '{}' has {} dimensions", tensor.view.name, dimensions));
    std::uint64_t count = 1;
    for (std::uint32_t i = 0; i < dimensions; ++i) {
        const auto size = in.read<std::uint64_t>();
        if (size == 0 || size > (std::uint64_t{1} << 40) / count)
            in.fail(fmt::format("tensor '{}' has an absurd shape", tensor.view.name));
        count *= size;
        tensor.view.shape.insert(tensor.view.shape.begin(), static_cast<std::int64_t>(size));
    }
    tensor.view.type = tensor_type(in.read<std::uint32_t>(), tensor.view.name, path);
    try {
        storage_bytes(tensor.view.type, static_cast<std::size_t>(tensor.view.shape.back()));
    } catch (const UsageError& error) {
        in.fail(fmt::format("tensor '{}': a row's {}", tensor.view.name, error.what()));
    }
    tensor.offset = in.read<std::uint64_t>();
    return tensor;
}

}  // namespace

struct GgufFile::Contents {
    std::filesystem::path path;
    MappedFile file;
    std::map<std::string, Value, std::less<>> metadata;
    std::vector<TensorView> tensors;
    std::map<std::string, std::size_t, std::less<>> by_name;

    explicit Contents(const std::filesystem::path& file_path) : path(file_path), file(file_path) {
        Cursor in(file.bytes(), path);
        if (in.left() < 8 || in.read<std::uint32_t>() != magic)
            throw InputError(path.native(), "not a GGUF file; give a GGUF file or an HF directory");
        const auto version = in.read<std::uint32_t>();
        if (version != 2 && version != 3)
            throw InputError(path.native(),
                             fmt::format("GGUF version {} (2 and 3 are known)", version));
        const auto tensor_count = in.read<std::uint64_t>();
        const auto value_count = in.read<std::uint64_t>();
        for (std::uint64_t i = 0; i < value_count; ++i) {
            std::string key = in.read_string();
            metadata.insert_or_assign(std::move(key), read_value(in));
        }
        read_tensors(in, tensor_count);
    }

    void read_tensors(Cursor& in, std::uint64_t count) {
        std::vector<PlacedTensor> placed;
        for (std::uint64_t i = 0; i < count; ++i)
            placed.push_back(read_tensor(in, path));
        const auto step = static_cast<std::uint64_t>(alignment_of_data());
        const std::uint64_t start = (in.position() + step - 1) / step * step;
        const std::uint64_t size = file.bytes().size();
        for (auto& tensor : placed) {
            const std::uint64_t bytes = storage_bytes(tensor.view.type, tensor.view.count());
            if (tensor.offset % step != 0)
                in.fail(fmt::format("tensor '{}' is not aligned", tensor.view.name));
            if (start > size || tensor.offset > size - start ||
                bytes > size - start - tensor.offset)
                throw InputError(
                    path.native(),
                    fmt::format("truncated GGUF (tensor '{}' ends at byte {} of {}); download it "
                                "again",
                                tensor.view.name, start + tensor.offset + bytes, size));
            tensor.view.data = file.bytes().subspan(start + tensor.offset, bytes);
            if (!by_name.emplace(tensor.view.name, tensors.size()).second)
                in.fail(fmt::format("tensor '{}' stands twice", tensor.view.name));
            tensors.push_back(std::move(tensor.view));
        }
    }

    std::int64_t alignment_of_data() const {
        const auto found = metadata.find("general.alignment");
        const auto* value =
            found == metadata.end() ? nullptr : std::get_if<std::int64_t>(&found->second);
        if (value == nullptr)
            return 32;
        if (*value < 1 || *value > 65536 ||
            !std::has_single_bit(static_cast<std::uint64_t>(*value)))
            throw InputError(path.native(), "damaged GGUF (general.alignment is no power of two)");
        return *value;
    }

    template <class T>
    const T* get(std::string_view key) const {
        const auto found = metadata.find(key);
        return found == metadata.end() ? nullptr : std::get_if<T>(&found->second);
    }
    template <class T>
    const T* get_array(std::string_view key) const {
        const Array* array = get<Array>(key);
        return array == nullptr ? nullptr : std::get_if<T>(array);
    }
};

GgufFile::GgufFile(const std::filesystem::path& path)
    : contents_(std::make_unique<Contents>(path)) {}
GgufFile::GgufFile(GgufFile&&) noexcept = default;
GgufFile& GgufFile::operator=(GgufFile&&) noexcept = default;
GgufFile::~GgufFile() = default;

const std::filesystem::path& GgufFile::path() const noexcept {
    return contents_->path;
}
const std::vector<TensorView>& GgufFile::tensors() const noexcept {
    return contents_->tensors;
}

const TensorView* GgufFile::find(std::string_view name) const noexcept {
    const auto found = contents_->by_name.find(name);
    return found == contents_->by_name.end() ? nullptr : &contents_->tensors[found->second];
}

std::optional<std::string> GgufFile::text(std::string_view key) const {
    const auto* value = contents_->get<std::string>(key);
    return value != nullptr ? std::optional(*value) : std::nullopt;
}

std::optional<std::int64_t> GgufFile::integer(std::string_view key) const {
    const auto* value = contents_->get<std::int64_t>(key);
    return value != nullptr ? std::optional(*value) : std::nullopt;
}

std::optional<double> GgufFile::number(std::string_view key) const {
    if (const auto* value = contents_->get<double>(key))
        return *value;
    const auto whole = integer(key);
    return whole ? std::optional(static_cast<double>(*whole)) : std::nullopt;
}

const std::vector<std::string>& GgufFile::texts(std::string_view key) const {
    static const std::vector<std::string> none;
    const auto* values = contents_->get_array<std::vector<std::string>>(key);
    return values != nullptr ? *values : none;
}

std::vector<std::int64_t> GgufFile::integers(std::string_view key) const {
    const auto* values = contents_->get_array<std::vector<std::int64_t>>(key);
    return values != nullptr ? *values : std::vector<std::int64_t>{};
}

std::vector<float> GgufFile::numbers(std::string_view key) const {
    const auto* values = contents_->get_array<std::vector<double>>(key);
    return values != nullptr ? std::vector<float>(values->begin(), values->end())
                             : std::vector<float>{};
}

}  // namespace popalign::store
