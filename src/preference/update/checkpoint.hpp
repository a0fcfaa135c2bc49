#pragma once

#include "preference/update/model_update.hpp"

#include <popalign/base/fingerprint.hpp>
#include <popalign/comm/communicator.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace popalign::preference {

/// State of a run after `step` updates; data order and learning rates follow from it.
struct TrainingState {
    std::int64_t step = 0;
    double tokens = 0;                ///< processed so far
    std::uint64_t metrics_bytes = 0;  ///< length of metrics.jsonl at this step
    std::vector<double> window;       ///< sums of steps not logged yet
    Fingerprint fingerprint;
};

/// Checkpoints of one run: directories step-NNNNNN with state.json and a shard from each rank,
/// which holds trained parameters and optimizer state. Any number of ranks, with any sharding, can
/// continue from any checkpoint.
class CheckpointStore {
  public:
    CheckpointStore(const comm::Communicator& comm, std::filesystem::path directory,
                    std::int64_t keep);

    /// Every rank writes its part to a temporary place, reads it again and compares. Then all are
    /// renamed together, and only then older checkpoints are removed. Throws AgreedError if the
    /// files do not hold what was written, or for a model of float64. Collective.
    void save(const TrainingState& state, ModelUpdate& update) const;

    /// Returns the newest checkpoint, if any, as the first rank sees it. Collective.
    std::optional<std::filesystem::path> latest() const;
    /// Reads state.json. Throws InputError if it is invalid.
    static TrainingState read_state(const std::filesystem::path& checkpoint);
    /// Loads values and moments from a checkpoint made after `updates` updates. Throws
    /// AgreedError if a shard is missing, damaged or of another model. Collective.
    void load(const std::filesystem::path& checkpoint, std::int64_t updates,
              ModelUpdate& update) const;

  private:
    /// Checks the hashes in state.json, divided among the ranks. Collective.
    void verify(const std::filesystem::path& checkpoint) const;
    void remove_older(const std::filesystem::path& newest) const;

    comm::Communicator comm_;
    std::filesystem::path directory_;
    std::size_t keep_;
};

}  // namespace popalign::preference
