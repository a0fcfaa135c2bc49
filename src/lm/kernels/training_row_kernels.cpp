#include "lm/kernels/training_row_kernels.hpp"

#include <popalign/base/vector_levels.hpp>

#include <cmath>

// Compiled with -ffast-math: sums may be reordered, nothing here is infinite.
namespace popalign::lm::kernel {

POPALIGN_VECTOR_LEVELS
void rms_norm_gradient(const float* x, const float* weight, const float* gradient,
                       std::size_t count, float epsilon, float* output, float* weight_gradient) {
    float squares = 0, product = 0;
    for (std::size_t i = 0; i < count; ++i) {
        squares += x[i] * x[i];
        product += gradient[i] * weight[i] * x[i];
    }
    const float size = static_cast<float>(count);
    const float factor = 1.0F / std::sqrt(squares / size + epsilon);
    const float along = product * factor * factor / size;
    for (std::size_t i = 0; i < count; ++i) {
        output[i] = factor * (gradient[i] * weight[i] - x[i] * along);
        weight_gradient[i] += gradient[i] * x[i] * factor;
    }
}

POPALIGN_VECTOR_LEVELS
void silu_multiply_gradient(const float* gate, const float* up, const float* gradient,
                            std::size_t count, float* gate_gradient, float* up_gradient) {
    for (std::size_t i = 0; i < count; ++i) {
        const float open = 1.0F / (1.0F + std::exp(-gate[i]));
        gate_gradient[i] = gradient[i] * up[i] * open * (1.0F + gate[i] * (1.0F - open));
        up_gradient[i] = gradient[i] * gate[i] * open;
    }
}

POPALIGN_VECTOR_LEVELS
void scaled_exponentials(float* x, std::size_t count, float shift, float factor) {
    for (std::size_t i = 0; i < count; ++i)
        x[i] = factor * std::exp(x[i] - shift);
}

POPALIGN_VECTOR_LEVELS
float exponentials_in_place(float* x, std::size_t count, float shift) {
    float sum = 0;
    for (std::size_t i = 0; i < count; ++i) {
        x[i] = std::exp(x[i] - shift);
        sum += x[i];
    }
    return sum;
}

POPALIGN_VECTOR_LEVELS
void attention_gradient(float* scores, float* products, const float* logsumexp, const float* means,
                        std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        // Scores of keys that a query does not see may exceed its maximum; they are cleared
        // afterwards.
        const float below = scores[i] < logsumexp[i] ? scores[i] - logsumexp[i] : 0.0F;
        scores[i] = std::exp(below);
        products[i] = scores[i] * (products[i] - means[i]);
    }
}

}  // namespace popalign::lm::kernel
