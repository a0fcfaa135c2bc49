#include "preference/model/finished_model.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/base/provenance.hpp>
#include <popalign/base/run_directory.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/checkpoint/language_model.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace popalign::preference {
namespace {

/// Record of a finished run, beside its checkpoints.
class FinishedMark {
  public:
    explicit FinishedMark(const std::filesystem::path& directory)
        : path_(RunDirectory(directory).train().finished()),
          model_(RunDirectory(directory).model()) {}

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

}  // namespace

Fingerprint options_fingerprint(const TrainInputs& inputs, const lm::ModelIdentity& model) {
    Fingerprint fingerprint = keys_of({Effect::result}, inputs.options, "train");
    if (inputs.options.objective != "ppo")
        std::erase_if(fingerprint,
                      [](const auto& key) { return key.first.starts_with("train.ppo."); });
    fingerprint["run.seed"] = std::to_string(inputs.seed);
    fingerprint["dtype"] = inputs.model.dtype;
    fingerprint["model.sha256"] = model.sha256;
    fingerprint["tokenizer.sha256"] = model.tokenizer_sha256;
    fingerprint["chat_template.sha256"] = model.template_sha256;
    return fingerprint;
}

bool is_finished(const comm::Communicator& comm, const TrainInputs& inputs,
                 const Fingerprint& fingerprint, const Logger& logger) {
    const bool finished =
        comm::run_on_all(comm, [&] { return FinishedMark(inputs.directory).holds(fingerprint); });
    if (finished)
        logger.info(fmt::format("{} is trained already; nothing to do",
                                RunDirectory(inputs.directory).model().native()));
    return finished;
}

void save_trained_model(const comm::Communicator& comm, const TrainInputs& inputs,
                        const lm::TrainableLm& model, const lm::ModelFrontEnd& front_end,
                        const Fingerprint& fingerprint) {
    comm::run_on_all(comm, [&] {
        if (!comm.is_root())
            return;
        auto provenance =
            nlohmann::json::parse(provenance_json(comm.size(), inputs.command), nullptr, false);
        if (!provenance.is_object())
            provenance = nlohmann::json::object();
        provenance["training"] = fingerprint;
        lm::save_hf_model(RunDirectory(inputs.directory).model(), model, front_end,
                          provenance.dump(2));
        FinishedMark(inputs.directory).write(fingerprint);
    });
}

}  // namespace popalign::preference
