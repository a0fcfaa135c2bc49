#include <popalign/base/error.hpp>
#include <popalign/preference/losses.hpp>

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace popalign {
namespace {

struct NamedObjective {
    std::string_view name;
    PairObjective objective;
};
constexpr NamedObjective objectives[] = {{"dpo", dpo_sigmoid_loss}};

}  // namespace

PairLosses dpo_sigmoid_loss(const PairLogProbabilities& logps, double beta) {
    const at::Tensor chosen = (logps.policy_chosen - logps.reference_chosen) * beta;
    const at::Tensor rejected = (logps.policy_rejected - logps.reference_rejected) * beta;
    return {-at::log_sigmoid(chosen - rejected), chosen.detach(), rejected.detach()};
}

std::vector<std::string> pair_objective_names() {
    std::vector<std::string> names;
    for (const auto& [name, objective] : objectives)
        names.emplace_back(name);
    return names;
}

PairObjective pair_objective(std::string_view name) {
    for (const auto& [known, objective] : objectives)
        if (known == name)
            return objective;
    throw UsageError(fmt::format("train.objective: '{}' is not supported; use one of: {}", name,
                                 fmt::join(pair_objective_names(), ", ")));
}

}  // namespace popalign
