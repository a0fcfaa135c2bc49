#include "preference/pairs/reference_model.hpp"

#include "preference/data/pair_transforms.hpp"

#include <popalign/base/hash.hpp>
#include <popalign/comm/run.hpp>

#include <utility>

namespace popalign::preference {

ReferenceModel::ReferenceModel(const comm::Communicator& comm, const TrainInputs& inputs,
                               ModelCard card, const ModelCard& policy, const Objective& objective)
    : comm_(comm),
      inputs_(inputs),
      objective_(objective),
      card_(std::move(card)),
      is_policy_(card_.identity.sha256 == policy.identity.sha256) {
    // Both see the policy's rendering of the prompt.
    card_.identity.template_sha256 = policy.identity.template_sha256;
}

std::string ReferenceModel::key(const PairData& data) const {
    return objective_.uses_reference() ? reference_key(card_.identity, data.limits) : "none";
}

StartingPoint ReferenceModel::starting_point() const noexcept {
    return is_policy_ && objective_.uses_reference() ? StartingPoint::reference
                                                     : StartingPoint::elsewhere;
}

std::optional<ReferenceValues> ReferenceModel::values(const PairData& data,
                                                      const lm::CausalLm* policy,
                                                      const Deadline& deadline,
                                                      const Logger& logger) {
    ReferenceValues result;
    if (!objective_.uses_reference())
        return result;
    const std::string model_key = reference_key(card_.identity, data.limits);
    // A judge's labels swap answers; the values under the plain key are of the pairs as made.
    const bool as_made = inputs_.options.labels.empty();
    auto pairs = values_of(data, as_made ? model_key : sha256_hex(model_key + data.digest), policy,
                           deadline, logger);
    if (!pairs)
        return std::nullopt;
    result.pairs = std::move(*pairs);
    if (!objective_.uses_divergence())
        return result;
    result.mismatched = comm::run_on_all(comm_, [&] { return mismatched(data); });
    // Which answer stands beside which prompt depends on all pairs that were chosen.
    auto mismatches =
        values_of(*result.mismatched, sha256_hex(model_key + result.mismatched->digest), policy,
                  deadline, logger);
    if (!mismatches)
        return std::nullopt;
    result.mismatches = std::move(*mismatches);
    return result;
}

bool ReferenceModel::store_values(const PairData& data, const Deadline& deadline,
                                  const Logger& logger) {
    return values_of(data, reference_key(card_.identity, data.limits), nullptr, deadline, logger)
        .has_value();
}

std::optional<CompletionLogProbabilities> ReferenceModel::values_of(const PairData& data,
                                                                    const std::string& key,
                                                                    const lm::CausalLm* policy,
                                                                    const Deadline& deadline,
                                                                    const Logger& logger) {
    const TrainOptions& options = inputs_.options;
    ReferenceSource source{inputs_.pair_file, key, options.micro_batch_tokens, {}};
    if (options.reference_micro_batch_tokens > 0)
        source.token_budget = options.reference_micro_batch_tokens;
    source.model = [&]() -> const lm::CausalLm& {
        if (is_policy_ && policy != nullptr)
            return *policy;
        if (!weights_)
            weights_.emplace(load_weights(comm_, card_, inputs_.device));
        return *weights_;
    };
    auto values = reference_log_probabilities(comm_, data, source, &deadline, logger);
    if (policy != nullptr)
        weights_.reset();  // training has need of the memory
    return values;
}

}  // namespace popalign::preference
