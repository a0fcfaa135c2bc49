#pragma once

#include <cstdint>
#include <vector>

/// Matrix products against weights that are stored in panels: `panel_width` rows of the weight side
/// by side, so that one column of them is one or two vectors.
namespace popalign::lm::kernel {

inline constexpr std::int64_t panel_width = 32;

/// Effect of a panel's partial products on the output.
enum class PanelOutput { replace, add };

/// How the left side lies in memory: as rows, or in groups of `group_rows` rows, in each of which a
/// column's values are side by side: [rows / group_rows, columns, group_rows].
enum class LeftLayout { rows, groups };
inline constexpr std::int64_t group_rows = 12;

/// `output[i][j] (+)= sum over c of x[i][c] * panel[c][j]`, `panel_width` values of j.
struct PanelProduct {
    const float* x;         ///< [rows, columns]
    std::int64_t x_stride;  ///< from row to row, where it lies as rows
    std::int64_t rows, columns;
    const float* panel;  ///< [columns, panel_width]
    float* output;       ///< [rows, panel_width], rows `output_stride` apart
    std::int64_t output_stride;
    PanelOutput mode;
    LeftLayout layout = LeftLayout::rows;
};

/// Every element is one chain of fused multiply-adds in the order of the columns: it depends on its
/// row and panel alone, not on how many rows there are or where.
using MultiplyPanel = void (*)(const PanelProduct&);

/// Returns the kernels that this processor can run, the fastest first.
std::vector<MultiplyPanel> multiply_panels();

void multiply_panel_avx512(const PanelProduct& product);
void multiply_panel_avx2(const PanelProduct& product);
void multiply_panel_portable(const PanelProduct& product);

}  // namespace popalign::lm::kernel
