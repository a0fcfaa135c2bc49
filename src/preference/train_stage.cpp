#include "preference/model_setup.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/base/provenance.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/preference/fingerprint.hpp>
#include <popalign/preference/pair_data.hpp>
#include <popalign/preference/reference.hpp>
#include <popalign/preference/train_loop.hpp>
#include <popalign/preference/train_stage.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <optional>

namespace popalign {
namespace {

/// Keys that change speed or where things lie, not what comes out; models are in by their hashes.
const std::set<std::string, std::less<>> not_in_result{
    "model",        "reference", "micro_batch_tokens", "checkpoint_steps", "keep_checkpoints",
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

std::optional<CompletionLogProbabilities> reference_of(
    const Communicator& comm, const TrainInputs& inputs, const ModelOptions& reference,
    const CausalLm& policy, const PairData& data, const std::string& key, const Deadline& deadline,
    const Logger& logger) {
    std::optional<CausalLm> other;
    ReferenceSource source{inputs.pair_file, key, inputs.options.micro_batch_tokens, {}};
    source.model = [&]() -> const CausalLm& {
        if (reference.path == inputs.model.path)
            return policy;
        return other.emplace(load_weights(comm, reference, inputs.device));
    };
    return reference_log_probabilities(comm, data, source, &deadline, logger);
}

ExitStatus make_reference(const Communicator& comm, const TrainInputs& inputs,
                          const ModelOptions& reference, const PairData& data,
                          const std::string& key, const Deadline& deadline, const Logger& logger) {
    std::optional<CausalLm> model;
    const auto load = [&]() -> const CausalLm& {
        return model.emplace(load_weights(comm, reference, inputs.device));
    };
    const ReferenceSource source{inputs.pair_file, key, inputs.options.micro_batch_tokens, load};
    return reference_log_probabilities(comm, data, source, &deadline, logger) ? ExitStatus::done
                                                                              : ExitStatus::requeue;
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
    run_on_all(comm, [&] {
        options.validate();
        const Objective objective(options);
        if (objective.uses_matches() || objective.uses_divergence() || objective.uses_scores())
            throw UsageError("train.objective: " + options.objective + " cannot be trained yet");
    });
    const bool own_reference = inputs.reference.path.empty();
    const ModelOptions& reference_model = own_reference ? inputs.model : inputs.reference;
    const TokenLimits limits{options.max_length, options.max_prompt_length};

    const ModelCard card = open_model(comm, inputs.model);
    ModelIdentity reference_identity = card.identity;
    if (!own_reference) {
        reference_identity = open_model(comm, reference_model).identity;
        run_on_all(comm, [&] { require_same_tokenizer(card.identity, reference_identity); });
    }
    // Both see the policy's rendering of the prompt.
    reference_identity.template_sha256 = card.identity.template_sha256;

    const PairData data = open_pair_data(comm, inputs.pair_file, card.front_end,
                                         {Split::train, options.exclude_flags, options.strategies,
                                          options.proportions, options.limit_instructions},
                                         limits);
    logger.info(
        fmt::format("{} of {} pairs are trained on, {} dropped because an answer has no room "
                    "within max_length",
                    data.size(), data.file_pairs, data.dropped));
    const std::string key = reference_key(reference_identity, limits);
    if (inputs.goal == TrainGoal::reference)
        return make_reference(comm, inputs, reference_model, data, key, deadline, logger);
    const Fingerprint fingerprint = fingerprint_of(inputs, card.identity, key, data);
    if (run_on_all(comm, [&] { return FinishedMark(inputs.directory).holds(fingerprint); })) {
        logger.info(fmt::format("{} is trained already; nothing to do",
                                (inputs.directory / "model").native()));
        return ExitStatus::done;
    }

    CausalLm model = load_weights(comm, inputs.model, inputs.device);
    const auto reference =
        reference_of(comm, inputs, reference_model, model, data, key, deadline, logger);
    if (!reference)
        return ExitStatus::requeue;
    const bool same = reference_identity.sha256 == card.identity.sha256;
    const TrainingRun run{data,
                          *reference,
                          options,
                          inputs.seed,
                          inputs.directory / "train",
                          fingerprint,
                          same ? StartingPoint::reference : StartingPoint::elsewhere};
    const ExitStatus status = train_on_pairs(comm, model, run, deadline, logger);
    if (status == ExitStatus::done)
        save_model(comm, inputs, model, card.front_end, fingerprint);
    return status;
}

}  // namespace popalign
