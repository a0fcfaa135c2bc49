#include "preference/model_setup.hpp"
#include "preference/reference_model.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/base/provenance.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/preference/fingerprint.hpp>
#include <popalign/preference/pair_data.hpp>
#include <popalign/preference/pair_views.hpp>
#include <popalign/preference/train_loop.hpp>
#include <popalign/preference/train_stage.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <utility>

namespace popalign {
namespace {

/// Keys that change speed or where things lie, not what comes out; models are in by their hashes.
const std::set<std::string, std::less<>> not_in_result{"model",
                                                       "reference",
                                                       "micro_batch_tokens",
                                                       "reference_micro_batch_tokens",
                                                       "activation_checkpointing",
                                                       "zero_stage",
                                                       "bucket_megabytes",
                                                       "machine",
                                                       "checkpoint_steps",
                                                       "keep_checkpoints",
                                                       "logging_steps"};

Fingerprint fingerprint_of(const TrainInputs& inputs, const ModelIdentity& model,
                           const std::string& reference, const PairData& data) {
    FingerprintVisitor visitor(not_in_result);
    TrainOptions options = inputs.options;
    options.visit(visitor);
    Fingerprint fingerprint;
    for (const auto& [name, value] : visitor.fingerprint())
        fingerprint["train." + name] = value;
    fingerprint["run.seed"] = std::to_string(inputs.seed);
    fingerprint["dtype"] = inputs.model.dtype;
    fingerprint["model.sha256"] = model.sha256;
    fingerprint["tokenizer.sha256"] = model.tokenizer_sha256;
    fingerprint["chat_template.sha256"] = model.template_sha256;
    fingerprint["reference.key"] = reference;
    fingerprint["pairs.sha256"] = data.digest;
    return fingerprint;
}

/// What a finished run leaves beside its checkpoints.
class FinishedMark {
  public:
    explicit FinishedMark(const std::filesystem::path& directory)
        : path_(directory / "train" / "finished.json"), model_(directory / "model") {}

    /// Throws UsageError if another run finished here.
    bool holds(const Fingerprint& fingerprint) const {
        if (!std::filesystem::exists(path_) || !std::filesystem::is_directory(model_))
            return false;
        const auto json = nlohmann::json::parse(read_text_file(path_), nullptr, false);
        if (!json.is_object())
            return false;
        try {
            require_same(json.get<Fingerprint>(), fingerprint, model_.native());
        } catch (const nlohmann::json::exception&) {
            return false;
        }
        return true;
    }
    void write(const Fingerprint& fingerprint) const {
        write_text_file(path_, nlohmann::json(fingerprint).dump(2) + "\n");
    }

  private:
    std::filesystem::path path_, model_;
};

Objective checked_objective(const TrainOptions& options) {
    options.validate();
    return Objective(options);
}

void save_model(const Communicator& comm, const TrainInputs& inputs, const CausalLm& model,
                const ModelFrontEnd& front_end, const Fingerprint& fingerprint) {
    run_on_all(comm, [&] {
        if (!comm.is_root())
            return;
        auto provenance =
            nlohmann::json::parse(provenance_json(comm.size(), inputs.command), nullptr, false);
        if (!provenance.is_object())
            provenance = nlohmann::json::object();
        provenance["training"] = fingerprint;
        save_hf_model(inputs.directory / "model", model, front_end, provenance.dump(2));
        FinishedMark(inputs.directory).write(fingerprint);
    });
}

}  // namespace

ExitStatus run_training(const Communicator& comm, const TrainInputs& inputs,
                        const Deadline& deadline, const Logger& logger) {
    const TrainOptions& options = inputs.options;
    if (inputs.goal == TrainGoal::reference)
        return compute_references(comm, inputs, deadline, logger);
    const Objective objective = run_on_all(comm, [&] { return checked_objective(options); });
    const ModelCard card = open_model(comm, inputs.model);
    ReferenceModel reference(comm, inputs, card, objective);
    PairData data = open_training_pairs(comm, inputs, card, logger);
    if (!objective.uses_rejected())
        data = chosen_only(std::move(data));
    const Fingerprint fingerprint = fingerprint_of(inputs, card.identity, reference.key(), data);
    if (run_on_all(comm, [&] { return FinishedMark(inputs.directory).holds(fingerprint); })) {
        logger.info(fmt::format("{} is trained already; nothing to do",
                                (inputs.directory / "model").native()));
        return ExitStatus::done;
    }

    CausalLm model = objective.uses_scores()
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
        save_model(comm, inputs, model, card.front_end, fingerprint);
    return status;
}

}  // namespace popalign
