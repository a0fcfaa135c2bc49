#include "lm/kernels/tile_product.hpp"

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace popalign::lm::kernel {
namespace {

/// Of a tile: rows of the output or columns of it, and depth. Two by two are multiplied together.
constexpr std::int64_t tile_rows = 16, tile_depth = 32, pair_width = 2 * tile_rows;
/// As in the products by panels: what stays in the second-level cache, and what is packed at once.
constexpr std::int64_t row_block = 256, depth_block = 576, column_block = 2048;

/// Vector types lose their attributes as template arguments.
struct alignas(64) Tile {
    __m512i rows[tile_rows];
};

/// 16 rows (or columns) of a factor by 32 of depth; the parts' sum is its values. Of a left factor
/// a tile's row is a row; of a right one it is a pair of depth: [depth / 2, column, 2].
struct SplitTile {
    std::array<Tile, 3> parts;
};

enum class Side { left, right };

/// Four tiles of sums (0 to 3), two of a left factor (4, 5), two of a right one (6, 7).
struct alignas(64) TileConfiguration {
    std::uint8_t palette = 1, start = 0;
    std::array<std::uint8_t, 14> reserved = {};
    std::array<std::uint16_t, 16> row_bytes = {};
    std::array<std::uint8_t, 16> rows = {};

    TileConfiguration() {
        std::fill_n(row_bytes.begin(), 8, std::uint16_t{64});
        std::fill_n(rows.begin(), 8, static_cast<std::uint8_t>(tile_rows));
    }
};

/// GCC 12's loads of tiles do not tell the compiler that they read memory: what is to be read must
/// be written before this.
void finish_stores() {
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

/// The calling thread's tile registers.
class TileRegisters {
  public:
    TileRegisters() {
        alignas(64) TileConfiguration configuration;
        finish_stores();
        _tile_loadconfig(&configuration);
    }
    ~TileRegisters() { _tile_release(); }
    TileRegisters(const TileRegisters&) = delete;
    TileRegisters& operator=(const TileRegisters&) = delete;
};

/// The nearest bfloat16 numbers, which are taken off `first` and `second`: one side after the
/// other.
__m512i take_row(__m512& first, __m512& second) {
    const __m512i part = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second, first));
    const auto take = [](__m512& rest, __m256i taken) {
        const __m512i bits = _mm512_slli_epi32(_mm512_cvtepu16_epi32(taken), 16);
        rest = _mm512_sub_ps(rest, _mm512_castsi512_ps(bits));
    };
    take(first, _mm512_castsi512_si256(part));
    take(second, _mm512_extracti64x4_epi64(part, 1));
    return part;
}

/// As above, a number of `first` beside one of `second` each.
__m512i take_pairs(__m512& first, __m512& second) {
    const auto take = [](__m512& rest) {
        const auto part = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(rest));
        const __m512i bits = _mm512_slli_epi32(_mm512_cvtepu16_epi32(part), 16);
        rest = _mm512_sub_ps(rest, _mm512_castsi512_ps(bits));
        return bits;
    };
    const __m512i low = take(first), high = take(second);
    return _mm512_or_si512(_mm512_srli_epi32(low, 16), high);
}

void transpose(Tile& tile) {
    auto& rows = tile.rows;
    __m512i next[tile_rows];
    for (std::size_t i = 0; i < 16; i += 2) {
        next[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
        next[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    }
    for (std::size_t i = 0; i < 16; i += 4)
        for (std::size_t j = 0; j < 2; ++j) {
            rows[i + 2 * j] = _mm512_unpacklo_epi64(next[i + j], next[i + j + 2]);
            rows[i + 2 * j + 1] = _mm512_unpackhi_epi64(next[i + j], next[i + j + 2]);
        }
    constexpr int even = 0x88, odd = 0xdd;  // quarters 0 and 2, or 1 and 3, of both
    for (std::size_t i = 0; i < 4; ++i)
        for (std::size_t j = 0; j < 16; j += 8) {
            next[j + i] = _mm512_shuffle_i32x4(rows[j + i], rows[j + 4 + i], even);
            next[j + 4 + i] = _mm512_shuffle_i32x4(rows[j + i], rows[j + 4 + i], odd);
        }
    for (std::size_t i = 0; i < 8; ++i) {
        rows[i] = _mm512_shuffle_i32x4(next[i], next[8 + i], even);
        rows[8 + i] = _mm512_shuffle_i32x4(next[i], next[8 + i], odd);
    }
}

__mmask16 first_lanes(std::int64_t count) {
    return static_cast<__mmask16>((1U << std::clamp<std::int64_t>(count, 0, 16)) - 1);
}

/// One tile of `from` [rows, depth], zeros beyond.
void split(const MatrixView& from, std::int64_t rows, std::int64_t depth, Side side,
           SplitTile& to) {
    const bool by_depth = from.column_stride == 1;
    // A row's two halves, or two of depth side by side; the tile after the next is fetched.
    const std::int64_t step = by_depth ? from.row_stride : 2 * from.column_stride;
    const std::int64_t half = by_depth ? tile_depth / 2 : from.column_stride;
    const std::int64_t ahead = 2 * (by_depth ? tile_depth : tile_rows);
    const auto lanes = [&](std::int64_t row, std::int64_t at) {
        return by_depth ? first_lanes(row < rows ? depth - at : 0)
                        : first_lanes(at < depth ? rows : 0);
    };
    for (std::int64_t i = 0; i < tile_rows; ++i) {
        const float *const first = from.data + i * step, *const second = first + half;
        _mm_prefetch(first + ahead, _MM_HINT_T0);
        _mm_prefetch(second + ahead, _MM_HINT_T0);
        __m512 even = _mm512_maskz_loadu_ps(lanes(i, by_depth ? 0 : 2 * i), first);
        __m512 odd = _mm512_maskz_loadu_ps(lanes(i, by_depth ? 16 : 2 * i + 1), second);
        for (Tile& part : to.parts)
            part.rows[i] = by_depth ? take_row(even, odd) : take_pairs(even, odd);
    }
    if (by_depth != (side == Side::left))
        for (Tile& part : to.parts)
            transpose(part);
}

std::int64_t tiles_of(std::int64_t count) {
    return (count + tile_rows - 1) / tile_rows;
}

std::int64_t depth_tiles_of(std::int64_t depth) {
    return (depth + tile_depth - 1) / tile_depth;
}

/// `to` [whole pairs of tiles of rows, tiles of depth].
void split_all(const MatrixView& from, std::int64_t rows, std::int64_t depth, Side side,
               SplitTile* to) {
    const std::int64_t across = (tiles_of(rows) + 1) / 2 * 2;
    const std::int64_t down = depth_tiles_of(depth);
    const auto split_one = [&](std::int64_t i, std::int64_t j) {
        const std::int64_t row = i * tile_rows, at = j * tile_depth;
        split(from.from(std::min(row, rows - 1), at), std::max<std::int64_t>(rows - row, 0),
              depth - at, side, to[i * down + j]);
    };
    // As the numbers lie in memory.
    if (from.column_stride == 1)
        for (std::int64_t i = 0; i < across; ++i)
            for (std::int64_t j = 0; j < down; ++j)
                split_one(i, j);
    else
        for (std::int64_t j = 0; j < down; ++j)
            for (std::int64_t i = 0; i < across; ++i)
                split_one(i, j);
}

void load_left(const SplitTile& above, const SplitTile& below, std::size_t part) {
    _tile_loadd(4, above.parts[part].rows, 64);
    _tile_loadd(5, below.parts[part].rows, 64);
}

void load_right(const SplitTile& left, const SplitTile& right, std::size_t part) {
    _tile_loadd(6, left.parts[part].rows, 64);
    _tile_loadd(7, right.parts[part].rows, 64);
}

void add_products() {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
}

/// `output` [32, 32] (+)= two tiles of rows by two of columns, `count` tiles deep.
struct PairProduct {
    const SplitTile *left, *right;
    std::int64_t count, right_stride;  ///< from one tile of columns to the next
    float* output;
    std::int64_t stride;
    PanelOutput mode;
    const char* next;  ///< is needed soon: `count` times `fetched` bytes
};
/// Bytes of the next pair of columns that are prefetched while one of the block's eight pairs of
/// rows is multiplied.
constexpr std::int64_t fetched = 2 * sizeof(SplitTile) / (row_block / pair_width);

void multiply_pairs(const PairProduct& product) {
    const std::size_t bytes = static_cast<std::size_t>(product.stride) * sizeof(float);
    float *const above = product.output, *const below = above + tile_rows * product.stride;
    finish_stores();
    if (product.mode == PanelOutput::add) {
        _tile_loadd(0, above, bytes);
        _tile_loadd(1, above + tile_rows, bytes);
        _tile_loadd(2, below, bytes);
        _tile_loadd(3, below + tile_rows, bytes);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    const std::int64_t count = product.count;
    for (std::int64_t at = 0; at < count; ++at) {
        const SplitTile &a = product.left[at], &b = product.left[count + at];
        const SplitTile &c = product.right[at], &d = product.right[product.right_stride + at];
        for (std::int64_t i = 0; i < fetched; i += 64)
            _mm_prefetch(product.next + at * fetched + i, _MM_HINT_T1);
        // The small products first; each step loads one side anew.
        load_left(a, b, 0);
        load_right(c, d, 2);
        add_products();
        load_right(c, d, 1);
        add_products();
        load_left(a, b, 1);
        add_products();
        load_right(c, d, 0);
        add_products();
        load_left(a, b, 2);
        add_products();
        load_left(a, b, 0);
        add_products();
    }
    _tile_stored(0, above, bytes);
    _tile_stored(1, above + tile_rows, bytes);
    _tile_stored(2, below, bytes);
    _tile_stored(3, below + tile_rows, bytes);
}

/// As above where the output ends within the pairs.
void multiply_edge(const PairProduct& product, std::int64_t rows, std::int64_t columns) {
    alignas(64) float beside[pair_width * pair_width] = {};
    if (product.mode == PanelOutput::add)
        for (std::int64_t i = 0; i < rows; ++i)
            std::copy_n(product.output + i * product.stride, columns, beside + i * pair_width);
    PairProduct whole = product;
    whole.output = beside;
    whole.stride = pair_width;
    multiply_pairs(whole);
    for (std::int64_t i = 0; i < rows; ++i)
        std::copy_n(beside + i * pair_width, columns, product.output + i * product.stride);
}

/// One block of packed factors; `first` are its first pairs.
void multiply_block(const PairProduct& first, std::int64_t rows, std::int64_t columns) {
    PairProduct product = first;
    for (std::int64_t column = 0; column < columns; column += pair_width) {
        product.right = first.right + column / tile_rows * first.right_stride;
        product.next = reinterpret_cast<const char*>(product.right + 2 * first.right_stride);
        for (std::int64_t row = 0; row < rows; row += pair_width) {
            product.left = first.left + row / tile_rows * first.count;
            product.output = first.output + row * first.stride + column;
            if (row + pair_width <= rows && column + pair_width <= columns)
                multiply_pairs(product);
            else
                multiply_edge(product, std::min(pair_width, rows - row),
                              std::min(pair_width, columns - column));
            product.next += first.count * fetched;
        }
    }
}

std::int64_t split_size(std::int64_t rows, std::int64_t depth) {
    return (tiles_of(rows) + 1) / 2 * 2 * depth_tiles_of(depth);
}

SplitTile* reserve(PanelBuffer& buffer, std::int64_t tiles) {
    constexpr std::int64_t floats = sizeof(SplitTile) / sizeof(float);
    return reinterpret_cast<SplitTile*>(buffer.reserve(tiles * floats));
}

/// Returns the block of a product that is packed at once: columns from `column` on, depth from `at`
/// on.
MatrixProduct block_of(const MatrixProduct& whole, std::int64_t column, std::int64_t at) {
    MatrixProduct block = whole;
    block.columns = std::clamp<std::int64_t>(whole.columns - column, 0, column_block);
    block.depth = std::min(depth_block, whole.depth - at);
    block.left = whole.left.from(0, at);
    block.right = whole.right.from(at, column);
    block.output += column;
    block.mode = at == 0 ? whole.mode : PanelOutput::add;
    return block;
}

/// Calls `visit(block, right, new_left, new_right)` for each product: whether its side is another
/// than that of the product before, and where its right side belongs from `right` on.
template <class Visit>
void for_each_block(std::span<const MatrixProduct> products, std::int64_t column, std::int64_t at,
                    SplitTile* right, const Visit& visit) {
    for (std::size_t i = 0; i < products.size(); ++i) {
        const bool new_left = i == 0 || products[i].left != products[i - 1].left;
        const bool new_right = i == 0 || products[i].right != products[i - 1].right;
        if (i > 0 && new_right) {
            const MatrixProduct before = block_of(products[i - 1], column, at);
            right += split_size(before.columns, before.depth);
        }
        visit(block_of(products[i], column, at), right, new_left, new_right);
    }
}

}  // namespace

bool has_tiles() {
    static const bool answer = [] {
        // Of arch_prctl(2): the state of tiles is saved for processes that asked for it.
        constexpr long request_permission = 0x1023, tile_data = 18;
        return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("amx-bf16") &&
               syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
    }();
    return answer;
}

void multiply_by_tiles(std::span<const MatrixProduct> products) {
    const TileRegisters registers;
    PanelBuffer left_buffer, right_buffer;
    std::int64_t tiles = 0, rows = 0, columns = 0;
    for (const MatrixProduct& product : products) {
        tiles += split_size(std::min(column_block, product.columns), depth_block);
        rows = std::max(rows, product.rows);
        columns = std::max(columns, product.columns);
    }
    SplitTile* const left = reserve(left_buffer, split_size(row_block, depth_block));
    SplitTile* const rights = reserve(right_buffer, tiles);
    const auto split_right = [](const MatrixProduct& block, SplitTile* right, bool, bool is_new) {
        if (is_new && block.columns > 0)
            split_all(block.right.transposed(), block.columns, block.depth, Side::right, right);
    };
    for (std::int64_t column = 0; column < columns; column += column_block)
        for (std::int64_t at = 0; at < products.front().depth; at += depth_block) {
            for_each_block(products, column, at, rights, split_right);
            for (std::int64_t row = 0; row < rows; row += row_block)
                for_each_block(
                    products, column, at, rights,
                    [&](const MatrixProduct& block, const SplitTile* right, bool is_new, bool) {
                        const std::int64_t count = std::min(row_block, block.rows - row);
                        if (count <= 0)
                            return;
                        if (is_new)
                            split_all(block.left.from(row, 0), count, block.depth, Side::left,
                                      left);
                        const std::int64_t tiles_deep = depth_tiles_of(block.depth);
                        multiply_block({left, right, tiles_deep, tiles_deep,
                                        block.output + row * block.output_stride,
                                        block.output_stride, block.mode, nullptr},
                                       count, block.columns);
                    });
        }
}

const float* pack_tiles(const MatrixView& right, std::int64_t depth, std::int64_t columns,
                        PanelBuffer& buffer) {
    SplitTile* const tiles = reserve(buffer, split_size(columns, depth));
    split_all(right.transposed(), columns, depth, Side::right, tiles);
    return reinterpret_cast<const float*>(tiles);
}

void multiply_by_packed_tiles(const MatrixProduct& product, const float* packed,
                              std::int64_t packed_depth) {
    const TileRegisters registers;
    PanelBuffer buffer;
    SplitTile* const left = reserve(buffer, split_size(row_block, depth_block));
    const auto* const right = reinterpret_cast<const SplitTile*>(packed);
    for (std::int64_t at = 0; at < product.depth; at += depth_block)
        for (std::int64_t row = 0; row < product.rows; row += row_block) {
            const std::int64_t rows = std::min(row_block, product.rows - row);
            const std::int64_t depth = std::min(depth_block, product.depth - at);
            split_all(product.left.from(row, at), rows, depth, Side::left, left);
            multiply_block(
                {left, right + at / tile_depth, depth_tiles_of(depth), depth_tiles_of(packed_depth),
                 product.output + row * product.output_stride, product.output_stride,
                 at == 0 ? product.mode : PanelOutput::add, nullptr},
                rows, product.columns);
        }
}

}  // namespace popalign::lm::kernel
