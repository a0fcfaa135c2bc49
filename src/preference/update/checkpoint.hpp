#pragma once

#include "preference/update/model_update.hpp"

#include <popalign/base/fingerprint.hpp>
#include <popalign/comm/communicator.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace popalign::preference {

/// Where a run stands after `step` updates; order and rates follow from it.
struct TrainingState {
    std::int64_t step = 0;
    double tokens = 0;                ///< processed so far
    std::uint64_t metrics_bytes = 0;  ///< of metrics.jsonl that belong to these steps
    std::vector<double> window;       ///< sums of steps not logged yet
    Fingerprint fingerprint;
};

/// Checkpoints of one run: directories step-NNNNNN with a shard from each rank, of the parameters
/// that are trained and of the optimizer's state, and state.json. Any number of ranks, whatever is
/// sharded among them, continues from the shards of any other.
class CheckpointStore {
  public:
    CheckpointStore(const comm::Communicator& comm, std::filesystem::path directory,
                    std::int64_t keep);

    /// Every rank writes its part beside, reads it again and compares; then all are renamed
    /// together, and only then older ones are removed. Throws AgreedError if the files do not hold
    /// what was written, or for a model of float64. Collective.
    void save(const TrainingState& state, ModelUpdate& update) const;

    /// The newest one, if any, as the first rank sees it. Collective.
    std::optional<std::filesystem::path> latest() const;
    /// Throws InputError if state.json is no state.
    static TrainingState read_state(const std::filesystem::path& checkpoint);
    /// Takes values and moments from a checkpoint that stands behind `updates` updates. Throws
    /// AgreedError if a shard is missing, damaged or of another model. Collective.
    void load(const std::filesystem::path& checkpoint, std::int64_t updates,
              ModelUpdate& update) const;

  private:
    /// Checks the hashes that state.json holds, each rank some. Collective.
    void verify(const std::filesystem::path& checkpoint) const;
    void remove_older(const std::filesystem::path& newest) const;

    comm::Communicator comm_;
    std::filesystem::path directory_;
    std::size_t keep_;
};

}  // namespace popalign::preference
