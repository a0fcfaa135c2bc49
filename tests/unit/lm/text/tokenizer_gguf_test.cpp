#include "support/temporary_directory.hpp"
#include "support/test_files.hpp"
#include "support/tiny_tokenizer.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/lm/text/tokenizer.hpp>
#include <popalign/store/weights/gguf.hpp>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace popalign::lm {
namespace {

namespace fs = std::filesystem;

/// Writes GGUF files that hold metadata only.
class GgufWriter {
  public:
    void text(const std::string& key, const std::string& value) {
        begin(key, 8);
        string(value);
    }
    void integer(const std::string& key, std::uint32_t value) {
        begin(key, 4);
        number(value);
    }
    void texts(const std::string& key, const std::vector<std::string>& values) {
        begin_array(key, 8, values.size());
        for (const auto& value : values)
            string(value);
    }
    void integers(const std::string& key, const std::vector<std::int32_t>& values) {
        begin_array(key, 5, values.size());
        for (std::int32_t value : values)
            number(value);
    }
    void save(const fs::path& path) const {
        GgufWriter header;
        header.number(std::uint32_t{0x46554747});
        header.number(std::uint32_t{3});
        header.number(std::uint64_t{0});
        header.number(count_);
        std::ofstream(path, std::ios::binary) << header.bytes_ << bytes_ << std::string(32, '\0');
    }

  private:
    template <class T>
    void number(T value) {
        for (std::size_t i = 0; i < sizeof(T); ++i)
            bytes_ += static_cast<char>(value >> (8 * i));
    }
    void string(const std::string& value) {
        number(std::uint64_t{value.size()});
        bytes_ += value;
    }
    void begin(const std::string& key, std::uint32_t type) {
        ++count_;
        string(key);
        number(type);
    }
    void begin_array(const std::string& key, std::uint32_t type, std::size_t size) {
        begin(key, 9);
        number(type);
        number(std::uint64_t{size});
    }

    std::string bytes_;
    std::uint64_t count_ = 0;
};

struct Metadata {
    std::string model = "gpt2", pre = "smollm";
    std::vector<std::string> tokens, merges{"a b"};
    std::vector<std::int32_t> types;
    std::uint32_t eos = 257;

    Metadata() {
        for (int byte = 0; byte < 256; ++byte)
            tokens.push_back(test::printable(static_cast<unsigned char>(byte)));
        tokens.insert(tokens.end(), {"ab", "<eos>", "<tool>", "[PAD]"});
        types.assign(256 + 4, 1);
        types[257] = 3;
        types[258] = 4;
        types[259] = 5;
    }

    Tokenizer load(const fs::path& path) const {
        GgufWriter writer;
        writer.text("tokenizer.ggml.model", model);
        writer.text("tokenizer.ggml.pre", pre);
        writer.texts("tokenizer.ggml.tokens", tokens);
        writer.texts("tokenizer.ggml.merges", merges);
        writer.integers("tokenizer.ggml.token_type", types);
        writer.integer("tokenizer.ggml.eos_token_id", eos);
        writer.save(path);
        return Tokenizer::from_gguf(store::GgufFile(path));
    }
};

TEST(TokenizerGguf, ReadsTokenTypesAndNamedTokens) {
    const test::TemporaryDirectory directory;
    const Tokenizer tokenizer = Metadata().load(directory / "model.gguf");
    using Ids = std::vector<TokenId>;
    EXPECT_EQ(tokenizer.encode("ab<eos><tool>12"),
              (Ids{256, '<', 'e', 'o', 's', '>', 258, '1', '2'}));
    EXPECT_EQ(tokenizer.encode("[PAD]"), (Ids{'[', 'P', 'A', 'D', ']'}));
    EXPECT_EQ(tokenizer.decode(Ids{256, 257, 258, 259}), "ab<tool>");
    EXPECT_EQ(tokenizer.eos_token(), 257);
    EXPECT_EQ(tokenizer.bos_token(), std::nullopt);
    EXPECT_EQ(tokenizer.special_token("<eos>"), 257);
    EXPECT_EQ(tokenizer.special_token("[PAD]"), std::nullopt);
}

TEST(TokenizerGguf, ItsJsonBehavesAlike) {
    const test::TemporaryDirectory directory;
    for (const char* pre : {"smollm", "qwen2", "llama-bpe", "gpt-2", "default"}) {
        Metadata metadata;
        metadata.pre = pre;
        const Tokenizer original = metadata.load(directory / "model.gguf");
        const Tokenizer copy = Tokenizer::from_json_text(original.json(), "copy");
        const std::string text = "abab 1234\u00bd e\u0301 <eos><tool>\n\n  I'M \u180e x";
        EXPECT_EQ(original.encode(text), copy.encode(text));
        EXPECT_EQ(original.sha256(), copy.sha256());
    }
}

TEST(TokenizerGguf, MalformedMetadataIsRefused) {
    const test::TemporaryDirectory directory;
    const auto expect_refusal = [&](const char* reason, const auto& change) {
        Metadata metadata;
        change(metadata);
        try {
            metadata.load(directory / "model.gguf");
            ADD_FAILURE() << reason;
        } catch (const InputError& error) {
            EXPECT_NE(std::string(error.what()).find("model.gguf"), std::string::npos);
            EXPECT_NE(std::string(error.what()).find(reason), std::string::npos) << error.what();
        }
    };
    expect_refusal("'bert'", [](Metadata& m) { m.model = "bert"; });
    expect_refusal("0 scores", [](Metadata& m) { m.model = "llama"; });
    expect_refusal("'tekken'", [](Metadata& m) { m.pre = "tekken"; });
    expect_refusal("no tokens", [](Metadata& m) { m.tokens.clear(); });
    expect_refusal("token types", [](Metadata& m) { m.types.pop_back(); });
    expect_refusal("twice", [](Metadata& m) { m.tokens[3] = m.tokens[4]; });
    expect_refusal("UTF-8", [](Metadata& m) { m.tokens[3] = "\xFF"; });
    expect_refusal("no pair", [](Metadata& m) { m.merges = {"ab"}; });
    expect_refusal("'zz'", [](Metadata& m) { m.merges = {"a zz"}; });
    expect_refusal("eos_token_id", [](Metadata& m) { m.eos = 4'000'000'000; });
}

/// llama.cpp's test vectors for one vocabulary: texts, and ids a line.
void compare_with_vectors(const fs::path& model, const std::string& vectors) {
    const fs::path folder = test::published_file("tokenizers/llamacpp");
    POPALIGN_NEEDS(folder);
    const fs::path gguf = model.empty() ? folder / (vectors + ".gguf") : test::source_file(model);
    POPALIGN_NEEDS(gguf);
    const Tokenizer tokenizer = Tokenizer::from_gguf(store::GgufFile(gguf));
    const std::string texts = read_text_file(folder / (vectors + ".gguf.inp"));
    std::istringstream lines(read_text_file(folder / (vectors + ".gguf.out")));
    const std::string separator = "\n__ggml_vocab_test__\n";
    int compared = 0;
    std::size_t begin = 0;
    for (std::string line; std::getline(lines, line); ++compared) {
        const std::size_t end = texts.find(separator, begin);
        std::istringstream numbers(line);
        const std::vector<TokenId> expected{std::istream_iterator<TokenId>(numbers), {}};
        const std::string text = texts.substr(begin, end - begin);
        EXPECT_EQ(tokenizer.encode(text), expected) << compared << ": " << text;
        if (end == std::string::npos) {
            ++compared;
            break;
        }
        begin = end + separator.size();
    }
    EXPECT_GT(compared, 40);
}

TEST(TokenizerVectors, Gpt2) {
    compare_with_vectors("", "ggml-vocab-gpt-2");
}
TEST(TokenizerVectors, Llama2) {
    compare_with_vectors("", "ggml-vocab-llama-spm");
}
TEST(TokenizerVectors, Phi3) {
    compare_with_vectors("", "ggml-vocab-phi-3");
}
TEST(TokenizerVectors, Refact) {
    compare_with_vectors("", "ggml-vocab-refact");
}
TEST(TokenizerVectors, StarCoder) {
    compare_with_vectors("", "ggml-vocab-starcoder");
}
TEST(TokenizerVectors, Qwen2) {
    compare_with_vectors("build/models/Qwen2.5-Coder-1.5B-Instruct-Q4_K_M.gguf",
                         "ggml-vocab-qwen2");
}

}  // namespace
}  // namespace popalign::lm
