#include "support/temporary_directory.hpp"
#include "support/test_files.hpp"
#include "unit/store/damage.hpp"

#include <popalign/base/error.hpp>
#include <popalign/store/weights/gguf.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

namespace popalign::store {
namespace {

std::filesystem::path fixture() {
    return test::source_file("tests/unit/store/weights/quantised.gguf");
}

std::vector<float> values_of(const TensorView& tensor) {
    std::vector<float> values(tensor.count());
    dequantise(tensor, values);
    return values;
}

void read_all(const std::filesystem::path& path) {
    const GgufFile file(path);
    for (const TensorView& tensor : file.tensors())
        values_of(tensor);
}

/// Builds GGUF files by hand, to say what no sane writer would.
class Builder {
  public:
    template <class T>
    Builder& number(T value) {
        bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
        return *this;
    }
    Builder& text(const std::string& value) {
        number<std::uint64_t>(value.size());
        bytes_ += value;
        return *this;
    }
    Builder& header(std::uint64_t tensors, std::uint64_t values, std::uint32_t version = 3) {
        bytes_ += "GGUF";
        return number(version).number(tensors).number(values);
    }
    Builder& tensor(const std::string& name, const std::vector<std::uint64_t>& shape,
                    std::uint32_t type, std::uint64_t offset) {
        text(name).number(static_cast<std::uint32_t>(shape.size()));
        for (const std::uint64_t size : shape)
            number(size);
        return number(type).number(offset);
    }
    /// Padding to the data, then `count` bytes of it.
    Builder& data(std::size_t count) {
        bytes_.append((32 - bytes_.size() % 32) % 32 + count, '\0');
        return *this;
    }
    const std::string& bytes() const { return bytes_; }

  private:
    std::string bytes_;
};

std::string message_of(const test::TemporaryDirectory& directory, const std::string& bytes) {
    const auto path = directory / "built.gguf";
    write_text_file(path, bytes);
    try {
        read_all(path);
    } catch (const InputError& error) {
        return error.what();
    }
    return "";
}

TEST(Gguf, ReadsWhatThePythonPackageWrites) {
    const GgufFile file(fixture());
    EXPECT_EQ(file.text("general.architecture"), "llama");
    EXPECT_EQ(file.integer("test.u32"), 7);
    EXPECT_EQ(file.integer("test.i64"), -5);
    EXPECT_EQ(file.integer("test.bool"), 1);
    EXPECT_EQ(file.number("test.f32"), 0.5);
    EXPECT_EQ(file.number("test.u32"), 7);
    EXPECT_EQ(file.texts("test.texts"), (std::vector<std::string>{"", "ä", "three"}));
    EXPECT_EQ(file.integers("test.integers"), (std::vector<std::int64_t>{1, -2, 3}));
    EXPECT_EQ(file.numbers("test.numbers"), (std::vector<float>{0.25F, -1.5F}));
    EXPECT_FALSE(file.text("test.u32") || file.integer("absent") || file.number("test.texts"));
    EXPECT_TRUE(file.texts("test.integers").empty());
    ASSERT_NE(file.find("Q4_K"), nullptr);
    EXPECT_EQ(file.find("Q4_K")->shape, (std::vector<std::int64_t>{2, 256}));
    EXPECT_EQ(file.find("absent"), nullptr);
}

TEST(Gguf, DequantisesAsThePythonPackage) {
    const GgufFile file(fixture());
    int compared = 0;
    for (const TensorView& tensor : file.tensors()) {
        const TensorView* expected = file.find(tensor.name + ".expected");
        if (expected == nullptr)
            continue;
        EXPECT_EQ(tensor.name, tensor_type_name(tensor.type));
        EXPECT_EQ(values_of(tensor), values_of(*expected)) << tensor.name;
        ++compared;
    }
    EXPECT_EQ(compared, 10);
}

TEST(Gguf, NeverCrashesOnDamage) {
    const test::TemporaryDirectory directory;
    Builder built;
    built.header(2, 3).text("general.alignment").number(4U).number(32U);
    built.text("texts").number(9U).number(8U).number(std::uint64_t{2}).text("a").text("bc");
    built.text("list").number(9U).number(6U).number(std::uint64_t{1}).number(1.5F);
    built.tensor("first", {32, 2}, 2, 0).tensor("second", {3}, 0, 64).data(76);
    ASSERT_EQ(message_of(directory, built.bytes()), "");
    test::read_damaged(directory / "built.gguf", 1, 3000, read_all);
}

TEST(Gguf, SaysWhatIsWrong) {
    const test::TemporaryDirectory directory;
    const auto expect = [&](const Builder& built, const std::string& text) {
        const std::string message = message_of(directory, built.bytes());
        EXPECT_NE(message.find(text), std::string::npos) << message;
    };
    constexpr std::uint64_t huge = ~std::uint64_t{0};
    expect(Builder().text("no"), "not a GGUF file");
    expect(Builder().header(0, 0, 4), "GGUF version 4 (2 and 3 are known)");
    expect(Builder().header(huge, 0), "truncated GGUF");
    expect(Builder().header(0, huge), "truncated GGUF");
    expect(Builder().header(0, 1).number(huge), "absurdly long");
    expect(Builder().header(0, 1).text("k").number(9U).number(8U).number(huge), "truncated");
    expect(
        Builder().header(0, 1).text("k").number(9U).number(9U).number(std::uint64_t{0}).number(0U),
        "");
    expect(Builder().header(0, 1).text("general.alignment").number(4U).number(0U), "power of two");
    expect(Builder().header(1, 0).tensor("w", {4}, 0, 0).data(15),
           "truncated GGUF (tensor 'w' ends at byte 80 of 79); download it again");
    expect(Builder().header(1, 0).tensor("w", {4}, 0, huge - 31).data(16), "truncated GGUF");
    expect(Builder().header(1, 0).tensor("w", {4}, 0, 8).data(64), "not aligned");
    expect(Builder().header(1, 0).tensor("w", {huge, huge}, 0, 0).data(64), "absurd shape");
    expect(Builder().header(1, 0).tensor("w", {std::uint64_t{1} << 39, 4}, 0, 0), "absurd shape");
    expect(Builder().header(1, 0).tensor("w", {16, 2}, 2, 0).data(64), "blocks of 32");
    expect(Builder().header(1, 0).tensor("w", {32}, 10, 0).data(64), "type number 10");
    expect(Builder().header(2, 0).tensor("w", {1}, 0, 0).tensor("w", {1}, 0, 0).data(64), "twice");
}

TEST(Gguf, ReadsARealModelInSeconds) {
    const auto path = test::source_file("build/models/Qwen2.5-Coder-1.5B-Instruct-Q4_K_M.gguf");
    POPALIGN_NEEDS(path);
    const GgufFile file(path);
    EXPECT_EQ(file.text("general.architecture"), "qwen2");
    EXPECT_EQ(file.texts("tokenizer.ggml.tokens").size(), 151936U);
    EXPECT_EQ(file.find("token_embd.weight")->shape, (std::vector<std::int64_t>{151936, 1536}));
    const auto start = std::chrono::steady_clock::now();
    std::vector<float> values;
    for (const TensorView& tensor : file.tensors()) {
        values.resize(tensor.count());
        dequantise(tensor, values);
    }
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    RecordProperty("seconds", std::to_string(taken.count()));
    EXPECT_LT(taken.count(), 60);
}

}  // namespace
}  // namespace popalign::store
