#include "preference/pairs/reference_model.hpp"

#include "preference/data/pair_views.hpp"

#include <popalign/base/hash.hpp>
#include <popalign/comm/run.hpp>

#include <fmt/format.h>

namespace popalign::preference {

ReferenceModel::ReferenceModel(const comm::Communicator& comm, const TrainInputs& inputs,
                               const ModelCard& policy, const Objective& objective)
    : comm_(comm),
      inputs_(inputs),
      model_(inputs.reference.path.empty() ? inputs.model : inputs.reference),
      objective_(objective) {
    lm::ModelIdentity identity = policy.identity;
    if (!inputs.reference.path.empty()) {
        identity = open_model(comm, model_).identity;
        comm::run_on_all(comm, [&] { require_same_tokenizer(policy.identity, identity); });
    }
    is_policy_ = identity.sha256 == policy.identity.sha256;
    // Both see the policy's rendering of the prompt.
    identity.template_sha256 = policy.identity.template_sha256;
    key_ = reference_key(identity, {inputs.options.max_length, inputs.options.max_prompt_length});
}

std::string ReferenceModel::key() const {
    return objective_.uses_reference() ? key_ : "none";
}

StartingPoint ReferenceModel::starting_point() const noexcept {
    return is_policy_ && objective_.uses_reference() ? StartingPoint::reference
                                                     : StartingPoint::elsewhere;
}

std::string ReferenceModel::key_of(const PairData& data) const {
    // A judge's labels turn pairs; the values under the plain key are of them as they were made.
    return inputs_.options.labels.empty() ? key_ : sha256_hex(key_ + data.digest);
}

std::optional<ReferenceValues> ReferenceModel::values(const PairData& data,
                                                      const lm::CausalLm* policy,
                                                      const Deadline& deadline,
                                                      const Logger& logger) {
    ReferenceValues result;
    if (!objective_.uses_reference())
        return result;
    auto own = values_of(data, key_of(data), policy, deadline, logger);
    if (!own)
        return std::nullopt;
    result.own = std::move(*own);
    if (!objective_.uses_divergence())
        return result;
    result.mismatched_pairs = comm::run_on_all(comm_, [&] {
        return mismatched(data, {inputs_.options.max_length, inputs_.options.max_prompt_length});
    });
    // Which answer stands beside which prompt depends on all pairs that were chosen.
    auto other =
        values_of(*result.mismatched_pairs, sha256_hex(key_ + result.mismatched_pairs->digest),
                  policy, deadline, logger);
    if (!other)
        return std::nullopt;
    result.mismatched = std::move(*other);
    return result;
}

std::optional<CompletionLogProbabilities> ReferenceModel::own_values(const PairData& data,
                                                                     const Deadline& deadline,
                                                                     const Logger& logger) {
    return values_of(data, key_, nullptr, deadline, logger);
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
            weights_.emplace(load_weights(comm_, model_, inputs_.device));
        return *weights_;
    };
    auto values = reference_log_probabilities(comm_, data, source, &deadline, logger);
    if (policy != nullptr)
        weights_.reset();  // training has need of the memory
    return values;
}

PairData open_training_pairs(const comm::Communicator& comm, const TrainInputs& inputs,
                             const ModelCard& policy, const Logger& logger, Split split) {
    const TrainOptions& options = inputs.options;
    PairSelection selection{split, options.exclude_flags, options.strategies};
    if (split == Split::train) {
        selection.proportions = options.proportions;
        selection.limit_instructions = options.limit_instructions;
        selection.labels = options.labels;
    }
    PairData data = open_pair_data(comm, inputs.pair_file, policy.front_end, selection,
                                   {options.max_length, options.max_prompt_length});
    logger.info(
        fmt::format("{} of {} pairs are {}, {} dropped because an answer has no room "
                    "within max_length",
                    data.size(), data.file_pairs, split == Split::train ? "trained on" : "held out",
                    data.dropped));
    return data;
}

ExitStatus compute_references(const comm::Communicator& comm, const TrainInputs& inputs,
                              const Deadline& deadline, const Logger& logger) {
    comm::run_on_all(comm, [&] { inputs.options.validate(); });
    if (inputs.options.objective == "ppo")  // its rollouts do not exist yet
        return ExitStatus::done;
    const ModelCard card = open_model(comm, inputs.model);
    const Objective objective(inputs.options);
    ReferenceModel reference(comm, inputs, card, objective);
    const PairData train = open_training_pairs(comm, inputs, card, logger);
    const PairData held_out = open_training_pairs(comm, inputs, card, logger, Split::held_out);
    const bool complete = reference.values(train, nullptr, deadline, logger) &&
                          reference.own_values(held_out, deadline, logger);
    return complete ? ExitStatus::done : ExitStatus::requeue;
}

}  // namespace popalign::preference
