#include "preference/data/pair_data.hpp"
#include "preference/data/pair_views.hpp"
#include "preference/model/finished_model.hpp"
#include "preference/model/model_setup.hpp"
#include "preference/pairs/reference_model.hpp"
#include "preference/pairs/train_loop.hpp"
#include "preference/ppo/ppo_stage.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/fingerprint.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/preference/train_stage.hpp>

#include <utility>

namespace popalign::preference {
namespace {

Fingerprint fingerprint_of(const TrainInputs& inputs, const lm::ModelIdentity& model,
                           const std::string& reference, const PairData& data) {
    Fingerprint fingerprint = options_fingerprint(inputs, model, {"ppo"});
    fingerprint["reference.key"] = reference;
    fingerprint["pairs.sha256"] = data.digest;
    return fingerprint;
}

Objective checked_objective(const TrainOptions& options) {
    options.validate();
    return Objective(options);
}

}  // namespace

ExitStatus run_training(const comm::Communicator& comm, const TrainInputs& inputs,
                        const Deadline& deadline, const Logger& logger) {
    const TrainOptions& options = inputs.options;
    if (inputs.goal == TrainGoal::reference)
        return compute_references(comm, inputs, deadline, logger);
    if (options.objective == "ppo")
        return run_ppo(comm, inputs, deadline, logger);
    const Objective objective = comm::run_on_all(comm, [&] { return checked_objective(options); });
    const ModelCard card = open_model(comm, inputs.model);
    ReferenceModel reference(comm, inputs, card, objective);
    PairData data = open_training_pairs(comm, inputs, card, logger);
    if (!objective.uses_rejected())
        data = chosen_only(std::move(data));
    const Fingerprint fingerprint = fingerprint_of(inputs, card.identity, reference.key(), data);
    if (is_finished(comm, inputs, fingerprint, logger))
        return ExitStatus::done;

    lm::TrainableLm model =
        objective.uses_scores()
            ? load_reward_weights(comm, inputs.model, inputs.device, inputs.seed)
            : load_weights(comm, inputs.model, inputs.device);
    const auto references = reference.values(data, &model, deadline, logger);
    if (!references)
        return ExitStatus::requeue;
    const TrainingRun run{data,
                          references->own,
                          options,
                          inputs.seed,
                          inputs.directory / "train",
                          fingerprint,
                          reference.starting_point(),
                          references->mismatched_pairs ? &*references->mismatched_pairs : nullptr,
                          &references->mismatched};
    if (options.lora_rank > 0)
        model.add_adapters(
            {options.lora_rank, options.lora_alpha, options.lora_targets, inputs.seed});
    const ExitStatus status = train_on_pairs(comm, model, run, deadline, logger);
    model.merge_adapters();
    if (status == ExitStatus::done)
        save_trained_model(comm, inputs, model, card.front_end, fingerprint);
    return status;
}

}  // namespace popalign::preference
