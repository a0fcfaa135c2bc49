#include "synthesis/fingerprint.hpp"

#include "synthesis/setup.hpp"

#include <popalign/base/hash.hpp>

#include <fmt/format.h>

#include <string>

namespace popalign::synthesis {
namespace {

std::string hash_of(const std::vector<Instruction>& instructions) {
    std::string text;
    for (const Instruction& instruction : instructions) {
        std::string asked = instruction.text;
        for (const Message& message : instruction.context)
            asked += fmt::format("\n{} {}", static_cast<int>(message.role), message.content);
        text += fmt::format("{} {} {}\n", instruction.id, static_cast<int>(instruction.split),
                            sha256_hex(asked));
    }
    return sha256_hex(text);
}

std::string hash_of(const std::vector<PlannedGeneration>& generations) {
    std::string text;
    for (const PlannedGeneration& generation : generations)
        text += generation.name + "\n" + generation.purpose;
    return sha256_hex(text);
}

}  // namespace

Fingerprint answers_fingerprint(const SynthesisInputs& inputs, const SynthesisSetup& setup) {
    Fingerprint fingerprint = changed_keys_of({Effect::result}, inputs.synthesis, "synthesis");
    fingerprint["run.seed"] = std::to_string(inputs.run.seed);
    for (const auto& [name, model] : setup.models) {
        const std::string section = "models." + name;
        fingerprint.merge(changed_keys_of({Effect::result}, inputs.models.at(name), section));
        fingerprint[section + ".sha256"] = model.identity.sha256;
        fingerprint[section + ".tokenizer_sha256"] = model.identity.tokenizer_sha256;
        fingerprint[section + ".template_sha256"] = model.identity.template_sha256;
    }
    for (std::size_t s = 0; s < setup.plan.strategies.size(); ++s)
        fingerprint["strategies." + setup.plan.strategies[s].name] =
            fmt::format("{}, share {}, quota {}", setup.plan.strategies[s].variant,
                        setup.plan.quotas[s].share, setup.plan.quotas[s].count);
    fingerprint["generations.sha256"] = hash_of(setup.plan.generations);
    fingerprint["instructions.sha256"] = hash_of(setup.instructions);
    return fingerprint;
}

Fingerprint pair_file_fingerprint(const SynthesisInputs& inputs, const SynthesisSetup& setup) {
    Fingerprint fingerprint = setup.answers;
    for (const std::string& file : inputs.instructions.evaluation_sets)
        fingerprint["instructions.evaluation_sets"] += file + " ";
    return fingerprint;
}

}  // namespace popalign::synthesis
