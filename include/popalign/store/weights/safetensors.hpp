#pragma once

#include <popalign/store/weights/tensor_view.hpp>

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace popalign::store {

/// The tensors of an HF directory, memory-mapped: `model.safetensors`, or the shards that
/// `model.safetensors.index.json` names. The files are untrusted: header length, offsets, shapes
/// and overlaps are checked. Throws InputError.
class SafetensorsModel {
  public:
    /// `path` is the directory, or one .safetensors file.
    explicit SafetensorsModel(const std::filesystem::path& path);
    SafetensorsModel(SafetensorsModel&&) noexcept;
    SafetensorsModel& operator=(SafetensorsModel&&) noexcept;
    ~SafetensorsModel();

    const std::vector<TensorView>& tensors() const noexcept;
    const TensorView* find(std::string_view name) const noexcept;
    /// The weight files, in the order read.
    const std::vector<std::filesystem::path>& files() const noexcept;

  private:
    struct Contents;
    std::unique_ptr<Contents> contents_;
};

/// Writes one safetensors file atomically (temporary file, synced, renamed). Views must be F32, F16
/// or BF16.
void write_safetensors(const std::filesystem::path& path, std::span<const TensorView> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace popalign::store
