#pragma once

#include "preference/model/model_setup.hpp"
#include "preference/objective/objective.hpp"
#include "preference/pairs/reference.hpp"
#include "preference/pairs/train_loop.hpp"

#include <popalign/base/deadline.hpp>
#include <popalign/preference/options/train_inputs.hpp>

#include <optional>
#include <string>

namespace popalign::preference {

/// What an objective takes from the reference; empty where it takes nothing.
struct ReferenceValues {
    CompletionLogProbabilities own, mismatched;
    std::optional<PairData> mismatched_pairs;
};

/// The model that a policy is held to, and the values that a pair file keeps of it. Its weights are
/// loaded only if values are missing.
class ReferenceModel {
  public:
    /// Throws UsageError if its tokenizer is not the policy's. Collective.
    ReferenceModel(const comm::Communicator& comm, const TrainInputs& inputs,
                   const ModelCard& policy, const Objective& objective);

    /// What the values depend on, for a run's fingerprint.
    std::string key() const;
    StartingPoint starting_point() const noexcept;
    /// `policy`: its weights, if they are at hand, for where it is its own reference. Nothing if
    /// the deadline came first. Collective.
    std::optional<ReferenceValues> values(const PairData& data, const lm::CausalLm* policy,
                                          const Deadline& deadline, const Logger& logger);
    /// The pairs' own answers alone, whatever the objective. Collective.
    std::optional<CompletionLogProbabilities> own_values(const PairData& data,
                                                         const Deadline& deadline,
                                                         const Logger& logger);

  private:
    std::string key_of(const PairData& data) const;
    std::optional<CompletionLogProbabilities> values_of(const PairData& data,
                                                        const std::string& key,
                                                        const lm::CausalLm* policy,
                                                        const Deadline& deadline,
                                                        const Logger& logger);

    const comm::Communicator& comm_;
    const TrainInputs& inputs_;
    const lm::ModelOptions& model_;
    Objective objective_;
    bool is_policy_;  ///< the same weights
    std::string key_;
    std::optional<lm::CausalLm> weights_;
};

/// Reads the pairs of one split that `train` and `evaluate preference` take. Collective.
PairData open_training_pairs(const comm::Communicator& comm, const TrainInputs& inputs,
                             const ModelCard& policy, const Logger& logger,
                             Split split = Split::train);

/// Computes what is missing of the reference's log-probabilities, of the pairs that are trained on
/// and those held out, and stores it in the pair file for `run_training` and `evaluate_preference`.
/// Collective.
ExitStatus compute_references(const comm::Communicator& comm, const TrainInputs& inputs,
                              const Deadline& deadline, const Logger& logger);

}  // namespace popalign::preference
