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

/// Reference values for an objective; empty if it needs none.
struct ReferenceValues {
    CompletionLogProbabilities pairs;       ///< values of the pairs' answers
    std::optional<PairData> mismatched;     ///< the same prompts with other answers
    CompletionLogProbabilities mismatches;  ///< values of `mismatched`
};

/// The reference model of a policy, with its values stored in a pair file. Weights are loaded only
/// if values are missing.
class ReferenceModel {
  public:
    ReferenceModel(const comm::Communicator& comm, const TrainInputs& inputs, ModelCard card,
                   const ModelCard& policy, const Objective& objective);

    /// Returns a key of everything that the values of `data` depend on, for a run's fingerprint.
    std::string key(const PairData& data) const;
    StartingPoint starting_point() const noexcept;
    /// Returns the values; nothing if the deadline came first. `policy`: its loaded weights, used
    /// if it is its own reference; may be null. Collective.
    std::optional<ReferenceValues> values(const PairData& data, const lm::CausalLm* policy,
                                          const Deadline& deadline, const Logger& logger);
    /// Computes the missing values of the pairs' own answers, for any objective. Returns whether it
    /// finished before the deadline. Collective.
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
