#pragma once

#include "preference/data/pair_data.hpp"
#include "preference/pairs/reference.hpp"

#include <popalign/base/deadline.hpp>
#include <popalign/base/error.hpp>
#include <popalign/base/fingerprint.hpp>
#include <popalign/base/log.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/lm/transformer/trainable_lm.hpp>
#include <popalign/preference/options/train_options.hpp>

#include <cstdint>
#include <filesystem>

namespace popalign::preference {

/// Start of the policy; decides whether the first loss is known beforehand.
enum class StartingPoint {
    reference,  ///< the policy starts as its reference, with margins 0
    elsewhere
};

struct TrainingRun {
    const PairData& data;
    const CompletionLogProbabilities& reference;  ///< empty if the objective needs none
    const TrainOptions& options;
    std::uint64_t seed = 0;
    std::filesystem::path directory;  ///< gets metrics.jsonl and checkpoints/
    Fingerprint fingerprint;
    StartingPoint starting_point = StartingPoint::reference;
    /// The same items with mismatched answers, for an objective that uses the divergence.
    const PairData* mismatched = nullptr;
    const CompletionLogProbabilities* mismatched_reference = nullptr;
};

/// Trains `model` from the newest checkpoint in the run's directory, or from its current weights.
/// Returns `requeue` if the deadline came and the state is saved, `done` if the model is trained
/// and its last state saved. Throws UsageError if the checkpoint is of another run or there are no
/// pairs, and Error if the first loss shows that policy and reference differ. Collective.
ExitStatus train_on_pairs(const comm::Communicator& comm, lm::TrainableLm& model,
                          const TrainingRun& run, const Deadline& deadline, const Logger& logger);

}  // namespace popalign::preference
