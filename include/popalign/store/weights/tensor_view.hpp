#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace popalign::store {

/// Element formats of weight files; the q-types are GGUF's block quantisations.
enum class TensorType { f32, f16, bf16, q4_0, q4_1, q5_0, q5_1, q8_0, q4_k, q5_k, q6_k };

std::string_view tensor_type_name(TensorType type) noexcept;

/// A tensor inside a mapped file; it does not own the data. `shape` is row-major, outermost
/// dimension first.
struct TensorView {
    std::string name;
    TensorType type = TensorType::f32;
    std::vector<std::int64_t> shape;
    std::span<const std::byte> data;

    std::size_t count() const noexcept;
};

/// Returns the bytes of `count` elements. Throws UsageError unless `count` fills whole blocks.
std::size_t storage_bytes(TensorType type, std::size_t count);

/// Converts the elements to float32. `output.size()` must be `tensor.count()`. The view must be
/// bounds-checked (its file's reader does this).
void dequantise(const TensorView& tensor, std::span<float> output);

}  // namespace popalign::store
