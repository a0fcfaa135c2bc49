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
    CompletionLogProbabilities pairs;       ///< of the pairs' answers
    std::optional<PairData> mismatched;     ///< the same prompts with other answers
    CompletionLogProbabilities mismatches;  ///< of those
};

/// The model that a policy is held to, and the values that a pair file keeps of it. Its weights are
/// loaded only if values are missing.
class ReferenceModel {
  public:
    ReferenceModel(const comm::Communicator& comm, const TrainInputs& inputs, ModelCard card,
                   const ModelCard& policy, const Objective& objective);

    /// What the values of `data` depend on, for a run's fingerprint.
    std::string key(const PairData& data) const;
    StartingPoint starting_point() const noexcept;
    /// `policy`: its weights, if they are at hand, for where it is its own reference. Nothing if
    /// the deadline came first. Collective.
    std::optional<ReferenceValues> values(const PairData& data, const lm::CausalLm* policy,
                                          const Deadline& deadline, const Logger& logger);
    /// Computes what the pair file lacks of the pairs' own answers, whatever the objective. Says
    /// whether it was done before the deadline. Collective.
    bool store_values(const PairData& data, const Deadline& deadline, const Logger& logger);

  private:
    std::optional<CompletionLogProbabilities> values_of(const PairData& data,
                                                        const std::string& key,
                                                        const lm::CausalLm* policy,
                                                        const Deadline& deadline,
                                                        const Logger& logger);

    const comm::Communicator& comm_;
    const TrainInputs& inputs_;
    Objective objective_;
    ModelCard card_;
    bool is_policy_;  ///< the same weights
    std::optional<lm::CausalLm> weights_;
};

}  // namespace popalign::preference
