#include "lm/kernels/row_kernels.hpp"

#include <popalign/base/vector_levels.hpp>

#include <algorithm>
#include <cmath>

// Compiled with -ffast-math: sums may be reordered, nothing here is infinite.
namespace popalign::lm::kernel {

POPALIGN_VECTOR_LEVELS
float maximum(const float* x, std::size_t count) {
    float largest = x[0];
    for (std::size_t i = 1; i < count; ++i)
        largest = x[i] > largest ? x[i] : largest;
    return largest;
}

POPALIGN_VECTOR_LEVELS
void exponentials(const float* x, std::size_t count, float shift, float scale, float* output) {
    for (std::size_t i = 0; i < count; ++i)
        output[i] = std::exp((x[i] - shift) * scale);
}

POPALIGN_VECTOR_LEVELS
void exponential_sums(const float* x, std::size_t count, float shift, float scale, float* sums) {
    for (std::size_t begin = 0; begin < count; begin += block) {
        const std::size_t end = begin + block < count ? begin + block : count;
        float sum = 0;
        for (std::size_t i = begin; i < end; ++i)
            sum += std::exp((x[i] - shift) * scale);
        *sums++ = sum;
    }
}

POPALIGN_VECTOR_LEVELS
void rms_norm(const float* x, const float* weight, std::size_t count, float epsilon,
              float* output) {
    float squares = 0;
    for (std::size_t i = 0; i < count; ++i)
        squares += x[i] * x[i];
    const float factor = 1.0F / std::sqrt(squares / static_cast<float>(count) + epsilon);
    for (std::size_t i = 0; i < count; ++i)
        output[i] = x[i] * factor * weight[i];
}

POPALIGN_VECTOR_LEVELS
void rotate(const float* x, const float* cosine, const float* sine, std::size_t dim,
            float* output) {
    const std::size_t half = dim / 2;
    for (std::size_t i = 0; i < half; ++i) {
        output[i] = x[i] * cosine[i] - x[half + i] * sine[i];
        output[half + i] = x[half + i] * cosine[i] + x[i] * sine[i];
    }
}

POPALIGN_VECTOR_LEVELS
void silu_multiply(const float* gate, const float* up, std::size_t count, float* output) {
    for (std::size_t i = 0; i < count; ++i)
        output[i] = gate[i] / (1.0F + std::exp(-gate[i])) * up[i];
}

POPALIGN_VECTOR_LEVELS
void attend(const HeadGroup& heads) {
    const std::size_t dim = heads.dim, length = heads.length;
    for (std::size_t g = 0; g < heads.group; ++g) {
        const float* query = heads.query + g * dim;
        float largest = -3e38F;
        for (std::size_t t = 0; t < length; ++t) {
            const float* key = heads.keys + t * dim;
            float sum = 0;
            for (std::size_t d = 0; d < dim; ++d)
                sum += query[d] * key[d];
            heads.scores[t] = sum * heads.scale;
            largest = heads.scores[t] > largest ? heads.scores[t] : largest;
        }
        float total = 0;
        for (std::size_t t = 0; t < length; ++t) {
            heads.scores[t] = std::exp(heads.scores[t] - largest);
            total += heads.scores[t];
        }
        float* output = heads.output + g * dim;
        std::fill(output, output + dim, 0.0F);
        for (std::size_t t = 0; t < length; ++t) {
            const float weight = heads.scores[t] / total;
            const float* value = heads.values + t * dim;
            for (std::size_t d = 0; d < dim; ++d)
                output[d] += weight * value[d];
        }
    }
}

}  // namespace popalign::lm::kernel
