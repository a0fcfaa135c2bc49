#pragma once

#include <popalign/lm/causal_lm.hpp>
#include <popalign/preference/fingerprint.hpp>
#include <popalign/preference/optimizer.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace popalign {

/// Where a run stands after `step` updates; order and rates follow from it.
struct TrainingState {
    std::int64_t step = 0;
    double tokens = 0;                ///< processed so far
    std::uint64_t metrics_bytes = 0;  ///< of metrics.jsonl that belong to these steps
    std::vector<double> window;       ///< sums of steps not logged yet
    Fingerprint fingerprint;
};

/// Checkpoints of one run: directories step-NNNNNN with model.safetensors, optimizer.safetensors
/// and state.json. They do not depend on the number of ranks. Called by one rank, but for `load`.
class CheckpointStore {
  public:
    CheckpointStore(std::filesystem::path directory, std::int64_t keep);

    /// Written beside, compared with memory, synced and renamed; only then are older ones removed.
    /// Throws Error for a model that is not float32, and if the files do not hold what was written.
    void save(const TrainingState& state, const CausalLm& model, AdamW& optimizer) const;

    /// The newest one, if any.
    std::optional<std::filesystem::path> latest() const;
    /// Throws InputError if state.json is no state or a file is not what it says.
    static TrainingState read_state(const std::filesystem::path& checkpoint);
    /// Checks the hashes that state.json holds. Throws InputError.
    static void verify(const std::filesystem::path& checkpoint);
    /// Throws InputError if a tensor is missing or misshapen.
    static void load(const std::filesystem::path& checkpoint, CausalLm& model, AdamW& optimizer);

  private:
    std::filesystem::path directory_;
    std::size_t keep_;
};

}  // namespace popalign
