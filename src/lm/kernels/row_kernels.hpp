#pragma once

#include <cstdint>
#include <span>

/// Plain loops over float32 rows, compiled once for each level of vector instructions and chosen
/// when the program starts. Results depend on the row alone.
namespace popalign::lm::kernel {

/// Elements that share one sum in `exponential_sums`.
inline constexpr std::size_t block = 512;

float maximum(const float* x, std::size_t count);

/// `output[i] = exp((x[i] - shift) * scale)`.
void exponentials(const float* x, std::size_t count, float shift, float scale, float* output);

/// Sums of the exponentials of each block, the last of which may be shorter.
void exponential_sums(const float* x, std::size_t count, float shift, float scale, float* sums);

/// `output = x / rms(x) * weight` (Zhang and Sennrich 2019, eq. 4).
void rms_norm(const float* x, const float* weight, std::size_t count, float epsilon, float* output);

/// Rotates the halves of one head against each other; `cosine` and `sine` [dim / 2].
void rotate(const float* x, const float* cosine, const float* sine, std::size_t dim, float* output);

/// `output = silu(gate) * up`.
void silu_multiply(const float* gate, const float* up, std::size_t count, float* output);

/// The query heads of one key-value head at one position over its `length` keys and values.
struct HeadGroup {
    const float* query;          ///< [group, dim]
    const float *keys, *values;  ///< [length, dim]
    std::size_t group, dim, length;
    float scale;
    float* scores;  ///< [length], scratch
    float* output;  ///< [group, dim]
};
void attend(const HeadGroup& heads);

}  // namespace popalign::lm::kernel
