#include "support/temporary_directory.hpp"
#include "unit/store/damage.hpp"

#include <popalign/base/error.hpp>
#include <popalign/store/weights/safetensors.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

namespace popalign::store {
namespace {

std::vector<float> values_of(const TensorView& tensor) {
    std::vector<float> values(tensor.count());
    dequantise(tensor, values);
    return values;
}

void read_all(const std::filesystem::path& path) {
    const SafetensorsModel model(path);
    for (const TensorView& tensor : model.tensors())
        values_of(tensor);
}

std::string file_of(const std::string& header, std::size_t data_bytes) {
    const std::uint64_t length = header.size();
    return std::string(reinterpret_cast<const char*>(&length), sizeof length) + header +
           std::string(data_bytes, '\0');
}

struct Sample {
    std::vector<float> numbers{1, -2, 3, 4, 5, 6.5};
    std::vector<std::uint16_t> halves{0x3C00, 0xC000};     // 1, -2 in half precision
    std::vector<std::uint16_t> brains{0x3F80, 0xC000, 0};  // 1, -2, 0 in bfloat16
    std::vector<TensorView> views{
        {"a", TensorType::f32, {2, 3}, std::as_bytes(std::span(numbers))},
        {"ä/b", TensorType::f16, {2}, std::as_bytes(std::span(halves))},
        {"c", TensorType::bf16, {3, 1, 1}, std::as_bytes(std::span(brains))},
        {"scalar", TensorType::f32, {}, std::as_bytes(std::span(numbers).first(1))},
        {"none", TensorType::f32, {0, 4}, {}}};
};

TEST(Safetensors, GivesBackWhatWasWritten) {
    const test::TemporaryDirectory directory;
    const Sample sample;
    write_safetensors(directory / "model.safetensors", sample.views, {{"format", "pt"}});
    for (const auto& path : {directory / "model.safetensors", directory.path()}) {
        const SafetensorsModel model(path);
        ASSERT_EQ(model.tensors().size(), sample.views.size());
        for (const TensorView& view : sample.views) {
            const TensorView* read = model.find(view.name);
            ASSERT_NE(read, nullptr) << view.name;
            EXPECT_EQ(read->shape, view.shape);
            EXPECT_EQ(read->type, view.type);
            EXPECT_TRUE(std::ranges::equal(read->data, view.data)) << view.name;
        }
        EXPECT_EQ(values_of(*model.find("ä/b")), (std::vector<float>{1, -2}));
        EXPECT_EQ(values_of(*model.find("c")), (std::vector<float>{1, -2, 0}));
        EXPECT_EQ(model.files().size(), 1U);
    }
    EXPECT_FALSE(std::filesystem::exists(directory / "model.safetensors.partial"));
}

TEST(Safetensors, AlignsItsDataToEightBytes) {
    const test::TemporaryDirectory directory;
    const Sample sample;
    write_safetensors(directory / "m.safetensors", sample.views);
    const std::string bytes = read_text_file(directory / "m.safetensors");
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof length);
    EXPECT_EQ(length % 8, 0U);
    EXPECT_EQ(bytes[8], '{');
}

TEST(Safetensors, ReadsShards) {
    const test::TemporaryDirectory directory;
    const Sample sample;
    const auto views = std::span(sample.views);
    write_safetensors(directory / "one.safetensors", views.first(2));
    write_safetensors(directory / "two.safetensors", views.subspan(2));
    const auto index = directory / "model.safetensors.index.json";
    write_text_file(index, R"({"weight_map": {"a": "one.safetensors", "ä/b": "one.safetensors",
                              "c": "two.safetensors"}})");
    const SafetensorsModel model(directory.path());
    EXPECT_EQ(model.files().size(), 2U);
    EXPECT_EQ(model.tensors().size(), sample.views.size());
    EXPECT_EQ(values_of(*model.find("a")), sample.numbers);
    write_text_file(index, R"({"weight_map": {"a": "three.safetensors"}})");
    EXPECT_THROW(SafetensorsModel(directory.path()), InputError);
    write_text_file(index, R"({"weight_map": {"a": "../one.safetensors"}})");
    EXPECT_THROW(SafetensorsModel(directory.path()), InputError);
    write_text_file(index, R"({"weight_map": 3})");
    EXPECT_THROW(SafetensorsModel(directory.path()), InputError);
    std::filesystem::remove(index);
    EXPECT_THROW(SafetensorsModel(directory.path()), InputError);
    EXPECT_THROW(SafetensorsModel(directory / "absent"), InputError);
}

TEST(Safetensors, RefusesToWriteWhatHasNoPlaceInIt) {
    const test::TemporaryDirectory directory;
    const std::vector<std::byte> block(18);
    const TensorView quantised{"w", TensorType::q4_0, {32}, block};
    EXPECT_THROW(write_safetensors(directory / "m.safetensors", std::span(&quantised, 1)),
                 UsageError);
    const TensorView odd{"\xFF", TensorType::f32, {1}, std::span(block).first(4)};
    EXPECT_THROW(write_safetensors(directory / "m.safetensors", std::span(&odd, 1)), UsageError);
    EXPECT_FALSE(std::filesystem::exists(directory / "m.safetensors"));
}

TEST(Safetensors, NeverCrashesOnDamage) {
    const test::TemporaryDirectory directory;
    const Sample sample;
    write_safetensors(directory / "m.safetensors", sample.views, {{"format", "pt"}});
    test::read_damaged(directory / "m.safetensors", 1, 3000, read_all);
}

TEST(Safetensors, SaysWhatIsWrong) {
    const test::TemporaryDirectory directory;
    const auto path = directory / "m.safetensors";
    const auto expect = [&](const std::string& bytes, const std::string& text) {
        write_text_file(path, bytes);
        try {
            read_all(path);
            ADD_FAILURE() << "read although: " << text;
        } catch (const InputError& error) {
            EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
        }
    };
    const auto entry = [](const std::string& type, const std::string& shape,
                          const std::string& offsets) {
        return R"({"w": {"dtype": ")" + type + R"(", "shape": )" + shape + R"(, "data_offsets": )" +
               offsets + "}}";
    };
    expect(std::string(8, '\xFF'), "truncated");
    expect(file_of("[]", 0), "no JSON object");
    expect(file_of(std::string(100'000, '['), 0), "no JSON object");
    expect(file_of(entry("F32", "[2]", "[0, 8]"), 7), "ends at byte 8 of 7");
    expect(file_of(entry("I8", "[2]", "[0, 2]"), 2), "type I8");
    expect(file_of(entry("F32", "[3]", "[0, 8]"), 8), "does not fit its shape");
    expect(file_of(entry("F32", "[2]", "[8, 0]"), 8), "does not fit its shape");
    expect(file_of(entry("F32", "[2]", "[0]"), 8), "no two offsets");
    expect(file_of(entry("F32", "[-2]", "[0, 8]"), 8), "whole numbers");
    expect(file_of(entry("F32", "[1e30]", "[0, 8]"), 8), "whole numbers");
    expect(file_of(entry("F32", R"({"a": 2})", "[0, 8]"), 8), "whole numbers");
    expect(file_of(entry("F32", "[4294967296, 4294967296]", "[0, 8]"), 8), "absurd shape");
    expect(file_of(R"({"w": 3})", 8), "tensor 'w'");
    expect(file_of(R"({"v": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
                       "w": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}})",
                   12),
           "overlap");
}

}  // namespace
}  // namespace popalign::store
