#include "synthesis/setup.hpp"

#include "synthesis/fingerprint.hpp"
#include "synthesis/instructions.hpp"

#include <popalign/base/error.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>

#include <fmt/format.h>

namespace popalign::synthesis {

namespace {

/// Every rank reads the small files; hashing of large files is spread over the ranks. Collective.
std::map<std::string, NamedModel> load_models(const comm::Communicator& comm,
                                              const SynthesisInputs& inputs,
                                              const std::vector<std::string>& names) {
    std::map<std::string, NamedModel> models;
    const auto hasher = [&](std::size_t i) {
        return static_cast<int>(i % static_cast<std::size_t>(comm.size()));
    };
    comm::run_on_all(comm, [&] {
        for (std::size_t i = 0; i < names.size(); ++i) {
            const auto found = inputs.models.find(names[i]);
            if (found == inputs.models.end())
                throw UsageError(
                    fmt::format("strategies name the model '{}', which `models` does "
                                "not have; add it",
                                names[i]));
            NamedModel model{lm::make_model_backend(names[i], found->second), {}};
            if (hasher(i) == comm.rank())
                model.identity = model.source->identify();
            models.emplace(names[i], std::move(model));
        }
    });
    for (std::size_t i = 0; i < names.size(); ++i) {
        lm::ModelIdentity& identity = models.at(names[i]).identity;
        for (std::string* text : {&identity.path, &identity.sha256, &identity.tokenizer_sha256,
                                  &identity.template_sha256})
            *text = comm::broadcast_object(comm, *text, hasher(i));
        identity.parameters = comm::broadcast_object(comm, identity.parameters, hasher(i));
    }
    return models;
}

}  // namespace

SynthesisSetup prepare_synthesis(const comm::Communicator& comm, const SynthesisInputs& inputs) {
    SynthesisSetup setup;
    comm::run_on_all(comm, [&] {
        inputs.synthesis.validate();
        setup.plan = make_generation_plan(
            inputs.strategies, inputs.synthesis.share ? Sharing::equal_once : Sharing::none);
        setup.instructions = select_instructions(inputs.instructions);
    });
    setup.models = load_models(comm, inputs, setup.plan.models());
    setup.instructions = fitting_instructions(comm, inputs, setup);
    setup.coverage.emplace(setup.plan, setup.instructions, inputs.run.seed);
    setup.answers = answers_fingerprint(inputs, setup);
    setup.key = fingerprint_hash(setup.answers);
    return setup;
}

}  // namespace popalign::synthesis
