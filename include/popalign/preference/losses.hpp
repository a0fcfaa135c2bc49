#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <string_view>
#include <vector>

namespace popalign {

/// log P(completion | prompt), summed over the completion's tokens [pairs, nat].
struct PairLogProbabilities {
    at::Tensor policy_chosen, policy_rejected;
    at::Tensor reference_chosen, reference_rejected;
};

struct PairLosses {
    at::Tensor losses;                            ///< one a pair, differentiable
    at::Tensor chosen_rewards, rejected_rewards;  ///< implicit rewards, detached
};

/// -log sigmoid(beta * ((pi_c - ref_c) - (pi_r - ref_r))); rewards are beta * (pi - ref).
/// Rafailov et al. 2023, "Direct Preference Optimization", eq. 7.
PairLosses dpo_sigmoid_loss(const PairLogProbabilities& logps, double beta);

using PairObjective = PairLosses (*)(const PairLogProbabilities&, double beta);

/// What `train.objective` can name.
std::vector<std::string> pair_objective_names();
/// Throws UsageError for an unknown name, listing the known ones.
PairObjective pair_objective(std::string_view name);

}  // namespace popalign
