#pragma once

#include <popalign/store/weights/tensor_view.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace popalign::store {

/// A GGUF file (versions 2 and 3, little-endian), memory-mapped: metadata and tensors. The file is
/// untrusted: every count, length and offset is checked against its size. Throws InputError.
class GgufFile {
  public:
    explicit GgufFile(const std::filesystem::path& path);
    GgufFile(GgufFile&&) noexcept;
    GgufFile& operator=(GgufFile&&) noexcept;
    ~GgufFile();

    const std::filesystem::path& path() const noexcept;
    /// The tensors, valid as long as this object.
    const std::vector<TensorView>& tensors() const noexcept;
    const TensorView* find(std::string_view name) const noexcept;

    /// Metadata by key; nothing if the key is absent or of another kind.
    std::optional<std::string> text(std::string_view key) const;
    std::optional<std::int64_t> integer(std::string_view key) const;  ///< any integer type, bool
    std::optional<double> number(std::string_view key) const;         ///< any float or integer type
    /// Arrays; empty if the key is absent or of another kind.
    const std::vector<std::string>& texts(std::string_view key) const;
    std::vector<std::int64_t> integers(std::string_view key) const;
    std::vector<float> numbers(std::string_view key) const;

  private:
    struct Contents;
    std::unique_ptr<Contents> contents_;
};

}  // namespace popalign::store
