#include "preference/pairs/pair_stage.hpp"

#include "preference/data/training_pairs.hpp"
#include "preference/model/finished_model.hpp"
#include "preference/model/model_setup.hpp"
#include "preference/pairs/reference_model.hpp"
#include "preference/pairs/train_loop.hpp"

#include <popalign/base/fingerprint.hpp>
#include <popalign/base/run_directory.hpp>
#include <popalign/comm/run.hpp>

namespace popalign::preference {
namespace {

Fingerprint fingerprint_of(const TrainInputs& inputs, const lm::ModelIdentity& model,
                           const std::string& reference, const PairData& data) {
    Fingerprint fingerprint = options_fingerprint(inputs, model);
    fingerprint["reference.key"] = reference;
    fingerprint["pairs.sha256"] = data.digest;
    return fingerprint;
}

}  // namespace

ExitStatus run_pair_training(const comm::Communicator& comm, const TrainInputs& inputs,
                             const Deadline& deadline, const Logger& logger) {
    const TrainOptions& options = inputs.options;
    const Objective objective = comm::run_on_all(comm, [&] { return Objective(options); });
    const PolicyCard policy = open_policy(comm, inputs.model);
    ReferenceModel reference(comm, inputs, open_reference(comm, inputs.reference, policy), policy,
                             objective);
    const PairData data = open_training_pairs(comm, inputs, policy.front_end, objective, logger);
    if (inputs.goal == TrainGoal::reference) {
        const PairData held_out = open_held_out_pairs(comm, inputs, policy.front_end, logger);
        const bool complete = reference.values(data, nullptr, deadline, logger) &&
                              reference.store_values(held_out, deadline, logger);
        return complete ? ExitStatus::done : ExitStatus::requeue;
    }
    const Fingerprint fingerprint =
        fingerprint_of(inputs, policy.identity, reference.key(data), data);
    if (is_finished(comm, inputs, fingerprint, logger))
        return ExitStatus::done;

    lm::TrainableLm model = objective.uses_scores()
                                ? load_reward_weights(comm, policy, inputs.device, inputs.seed)
                                : load_weights(comm, policy, inputs.device);
    const auto values = reference.values(data, &model, deadline, logger);
    if (!values)
        return ExitStatus::requeue;
    const TrainingRun run{data,
                          values->pairs,
                          options,
                          inputs.seed,
                          RunDirectory(inputs.directory).train().path(),
                          fingerprint,
                          reference.starting_point(),
                          values->mismatched ? &*values->mismatched : nullptr,
                          &values->mismatches};
    add_adapters(model, options, inputs.seed);
    const ExitStatus status = train_on_pairs(comm, model, run, deadline, logger);
    model.merge_adapters();
    if (status == ExitStatus::done)
        save_trained_model(comm, inputs, model, policy.front_end, fingerprint);
    return status;
}

}  // namespace popalign::preference
