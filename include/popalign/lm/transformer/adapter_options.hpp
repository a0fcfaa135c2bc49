#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace popalign::lm {

/// Low-rank adapters (Hu et al. 2022, "LoRA"): a weight `W` acts as `W + alpha / rank * B A`.
struct AdapterOptions {
    std::int64_t rank = 0;  ///< 0: none
    double alpha = 16;
    std::vector<std::string> targets{"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                     "gate_proj", "up_proj", "down_proj"};
    std::uint64_t seed = 0;

    /// Throws UsageError for an unknown target.
    void validate() const;
};

}  // namespace popalign::lm
