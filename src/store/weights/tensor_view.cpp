#include <popalign/base/error.hpp>
#include <popalign/store/weights/tensor_view.hpp>

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cstring>
#include <functional>
#include <numeric>

namespace popalign::store {
namespace {

using Bytes = const std::byte*;

float half_to_float(std::uint16_t half) {
    const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16;
    const std::uint32_t exponent = (half >> 10) & 0x1FU, mantissa = half & 0x3FFU;
    if (exponent == 0) {
        const float value = static_cast<float>(mantissa) * 0x1.0p-24F;
        return sign != 0 ? -value : value;
    }
    const std::uint32_t bits = exponent == 31 ? 0x7F800000U : (exponent + 112) << 23;
    return std::bit_cast<float>(sign | bits | (mantissa << 13));
}

template <class T>
T load(Bytes from) {
    T value;
    std::memcpy(&value, from, sizeof(T));
    return value;
}

float load_half(Bytes from) {
    return half_to_float(load<std::uint16_t>(from));
}
int byte_at(Bytes data, std::size_t i) {
    return std::to_integer<int>(data[i]);
}

// The block layouts are ggml's (ggml-common.h, block_q4_0 and so on): a scale `d`, where there is
// one a minimum `m`, then packed quants; the low nibbles hold the first half of a block.

void q4_0(Bytes block, float* out) {
    const float d = load_half(block);
    for (std::size_t i = 0; i < 16; ++i) {
        const int q = byte_at(block, 2 + i);
        out[i] = d * static_cast<float>((q & 15) - 8);
        out[i + 16] = d * static_cast<float>((q >> 4) - 8);
    }
}

void q4_1(Bytes block, float* out) {
    const float d = load_half(block), m = load_half(block + 2);
    for (std::size_t i = 0; i < 16; ++i) {
        const int q = byte_at(block, 4 + i);
        out[i] = d * static_cast<float>(q & 15) + m;
        out[i + 16] = d * static_cast<float>(q >> 4) + m;
    }
}

void q5(Bytes quants, std::uint32_t high, float d, float m, float* out) {
    for (std::size_t i = 0; i < 16; ++i) {
        const int q = byte_at(quants, i);
        const int low_bit = static_cast<int>((high >> i) & 1U) << 4;
        const int high_bit = static_cast<int>((high >> (i + 16)) & 1U) << 4;
        out[i] = d * static_cast<float>((q & 15) | low_bit) + m;
        out[i + 16] = d * static_cast<float>((q >> 4) | high_bit) + m;
    }
}

void q5_0(Bytes block, float* out) {
    const float d = load_half(block);
    q5(block + 6, load<std::uint32_t>(block + 2), d, -16 * d, out);
}

void q5_1(Bytes block, float* out) {
    q5(block + 8, load<std::uint32_t>(block + 4), load_half(block), load_half(block + 2), out);
}

void q8_0(Bytes block, float* out) {
    const float d = load_half(block);
    for (std::size_t i = 0; i < 32; ++i)
        out[i] = d * static_cast<float>(load<std::int8_t>(block + 2 + i));
}

/// The 6-bit scale and minimum of sub-block `j` of Q4_K and Q5_K.
std::pair<float, float> scale_and_minimum(Bytes scales, std::size_t j) {
    if (j < 4)
        return {static_cast<float>(byte_at(scales, j) & 63),
                static_cast<float>(byte_at(scales, j + 4) & 63)};
    const int low = byte_at(scales, j + 4);
    return {static_cast<float>((low & 15) | ((byte_at(scales, j - 4) >> 6) << 4)),
            static_cast<float>((low >> 4) | ((byte_at(scales, j) >> 6) << 4))};
}

void q4_k(Bytes block, float* out) {
    const float d = load_half(block), minimum = load_half(block + 2);
    for (std::size_t j = 0; j < 8; ++j) {
        const auto [scale, m] = scale_and_minimum(block + 4, j);
        const Bytes quants = block + 16 + j / 2 * 32;
        const int shift = j % 2 == 0 ? 0 : 4;
        for (std::size_t i = 0; i < 32; ++i)
            *out++ =
                d * scale * static_cast<float>((byte_at(quants, i) >> shift) & 15) - minimum * m;
    }
}

void q5_k(Bytes block, float* out) {
    const float d = load_half(block), minimum = load_half(block + 2);
    const Bytes high = block + 16;
    for (std::size_t j = 0; j < 8; ++j) {
        const auto [scale, m] = scale_and_minimum(block + 4, j);
        const Bytes quants = block + 48 + j / 2 * 32;
        const int shift = j % 2 == 0 ? 0 : 4;
        for (std::size_t i = 0; i < 32; ++i) {
            const int q =
                ((byte_at(quants, i) >> shift) & 15) | (((byte_at(high, i) >> j) & 1) << 4);
            *out++ = d * scale * static_cast<float>(q) - minimum * m;
        }
    }
}

void q6_k(Bytes block, float* out) {
    const float d = load_half(block + 208);
    for (std::size_t half = 0; half < 2; ++half, out += 128) {
        const Bytes low = block + half * 64, high = block + 128 + half * 32;
        const Bytes scales = block + 192 + half * 8;
        for (std::size_t i = 0; i < 32; ++i) {
            const int h = byte_at(high, i);
            const int quants[] = {(byte_at(low, i) & 15) | ((h & 3) << 4),
                                  (byte_at(low, i + 32) & 15) | (((h >> 2) & 3) << 4),
                                  (byte_at(low, i) >> 4) | (((h >> 4) & 3) << 4),
                                  (byte_at(low, i + 32) >> 4) | (((h >> 6) & 3) << 4)};
            for (std::size_t part = 0; part < 4; ++part)
                out[i + 32 * part] =
                    d * static_cast<float>(load<std::int8_t>(scales + i / 16 + 2 * part)) *
                    static_cast<float>(quants[part] - 32);
        }
    }
}

struct Format {
    std::string_view name;
    std::size_t block, bytes;  // elements and bytes of a block
    void (*decode)(Bytes block, float* out);
};

const Format& format_of(TensorType type) {
    static constexpr std::array<Format, 11> formats{{
        {"F32", 1, 4, [](Bytes b, float* out) { *out = load<float>(b); }},
        {"F16", 1, 2, [](Bytes b, float* out) { *out = load_half(b); }},
        {"BF16", 1, 2,
         [](Bytes b, float* out) {
             *out = std::bit_cast<float>(static_cast<std::uint32_t>(load<std::uint16_t>(b)) << 16);
         }},
        {"Q4_0", 32, 18, q4_0},
        {"Q4_1", 32, 20, q4_1},
        {"Q5_0", 32, 22, q5_0},
        {"Q5_1", 32, 24, q5_1},
        {"Q8_0", 32, 34, q8_0},
        {"Q4_K", 256, 144, q4_k},
        {"Q5_K", 256, 176, q5_k},
        {"Q6_K", 256, 210, q6_k},
    }};
    return formats.at(static_cast<std::size_t>(type));
}

}  // namespace

std::string_view tensor_type_name(TensorType type) noexcept {
    return format_of(type).name;
}

std::size_t TensorView::count() const noexcept {
    return std::accumulate(shape.begin(), shape.end(), std::size_t{1},
                           [](std::size_t product, std::int64_t size) {
                               return product * static_cast<std::size_t>(size);
                           });
}

std::size_t storage_bytes(TensorType type, std::size_t count) {
    const Format& format = format_of(type);
    if (count % format.block != 0 || count / format.block > SIZE_MAX / format.bytes)
        throw UsageError(fmt::format("{} elements do not fill blocks of {} ({})", count,
                                     format.block, format.name));
    return count / format.block * format.bytes;
}

void dequantise(const TensorView& tensor, std::span<float> output) {
    const Format& format = format_of(tensor.type);
    if (output.empty())
        return;
    if (tensor.type == TensorType::f32) {
        std::memcpy(output.data(), tensor.data.data(), output.size_bytes());
        return;
    }
    Bytes block = tensor.data.data();
    for (std::size_t first = 0; first < output.size(); first += format.block, block += format.bytes)
        format.decode(block, output.data() + first);
}

}  // namespace popalign::store
