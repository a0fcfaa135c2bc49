#include "synthesis/setup.hpp"

#include "synthesis/prompts.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/hash.hpp>
#include <popalign/base/range.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/store/rows/jsonl.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace popalign::synthesis {
namespace {

std::vector<Instruction> select_instructions(const InstructionOptions& options) {
    std::vector<Instruction> all = store::read_instructions(options.path);
    const auto available = static_cast<std::int64_t>(all.size()) - options.offset;
    const auto limit =
        options.limit > 0 ? options.limit : std::max<std::int64_t>(available - options.held_out, 0);
    if (limit < 1 || limit + options.held_out > available)
        throw InputError(options.path,
                         fmt::format("{} instructions from number {} on do not give {} and {} held "
                                     "out; lower instructions.limit or held_out",
                                     available, options.offset, std::max<std::int64_t>(limit, 1),
                                     options.held_out));
    all.erase(all.begin(), all.begin() + options.offset);
    all.resize(static_cast<std::size_t>(limit + options.held_out));
    for (std::size_t i = static_cast<std::size_t>(limit); i < all.size(); ++i)
        all[i].split = Split::held_out;
    return all;
}

/// Every rank reads what is small; the hashing of large files is spread over the ranks.
/// Collective.
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
            NamedModel model{lm::make_model_source(names[i], found->second), {}};
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

std::string context_text(const Instruction& instruction) {
    std::string text;
    for (const Message& message : instruction.context)
        text += fmt::format("\n{} {}", static_cast<int>(message.role), message.content);
    return text;
}

std::string fingerprint(const SynthesisInputs& inputs, const SynthesisSetup& setup) {
    const SynthesisOptions& options = inputs.synthesis;
    std::string text = fmt::format(
        "4 seed {} tokens {} {} {} retries {} sampling {} {} {} {} {} deterministic {} batch {}\n",
        inputs.run.seed, options.max_new_tokens, options.max_thought_tokens,
        options.max_input_tokens, options.parse_retries, options.sampling.temperature,
        options.sampling.top_k, options.sampling.top_p, options.sampling.min_p,
        options.sampling.repetition_penalty, options.deterministic,
        options.deterministic ? options.batch_size : 0);
    for (const std::string& stop : options.stop)
        text += fmt::format("stop {}\n", sha256_hex(stop));
    for (const auto& [name, model] : setup.models)
        text += fmt::format("{} {} {} {} {}\n", name, model.identity.sha256,
                            model.identity.tokenizer_sha256, model.identity.template_sha256,
                            inputs.models.at(name).dtype);
    for (const auto& generation : setup.plan.generations)
        text += generation.name + "\n" + generation.purpose;
    for (std::size_t s = 0; s < setup.plan.strategies.size(); ++s)
        text += fmt::format("{} {} {} {}\n", setup.plan.strategies[s].name,
                            setup.plan.strategies[s].variant, setup.plan.quotas[s].share,
                            setup.plan.quotas[s].count);
    for (const auto& instruction : setup.instructions)
        text += fmt::format("{} {} {}\n", instruction.id, static_cast<int>(instruction.split),
                            sha256_hex(instruction.text + context_text(instruction)));
    return sha256_hex(text);
}

/// Whether all first prompts of the instruction are short enough. Throws UsageError for what a
/// model cannot be asked.
bool fits(const SynthesisInputs& inputs, const SynthesisSetup& setup,
          const Instruction& instruction) {
    bool result = true;
    for (const auto& generation : setup.plan.generations) {
        const std::vector<std::string> unknown(generation.turns.size() - 1);
        const auto tokens =
            setup.models.at(generation.model)
                .source->measure(make_question(inputs, generation, instruction, unknown));
        if (!generation.previous)
            result &= tokens <= static_cast<std::uint64_t>(inputs.synthesis.max_input_tokens);
    }
    return result;
}

/// Leaves out instructions with a first prompt that is too long for any generation. Collective.
std::vector<Instruction> fitting(const comm::Communicator& comm, const SynthesisInputs& inputs,
                                 SynthesisSetup& setup) {
    auto& instructions = setup.instructions;
    std::vector<std::uint8_t> too_long(instructions.size(), 0);
    const Range mine = partition(instructions.size(), comm.rank(), comm.size());
    comm::run_on_all(comm, [&] {
        for (std::size_t i = mine.begin; i < mine.end; ++i)
            too_long[i] = fits(inputs, setup, instructions[i]) ? 0 : 1;
    });
    comm::all_reduce(comm, std::span(too_long), comm::Reduction::maximum);
    std::vector<Instruction> kept;
    for (std::size_t i = 0; i < instructions.size(); ++i)
        if (too_long[i] == 0)
            kept.push_back(std::move(instructions[i]));
    if (kept.size() < instructions.size())
        inputs.logger.warn(
            fmt::format("{} of {} instructions are left out: a prompt is longer than {} tokens "
                        "(synthesis.max_input_tokens)",
                        instructions.size() - kept.size(), instructions.size(),
                        inputs.synthesis.max_input_tokens));
    if (kept.empty())
        throw comm::AgreedError(0, comm.size(),
                                "no instruction fits synthesis.max_input_tokens; raise it",
                                ExitStatus::wrong_use);
    return kept;
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
    setup.instructions = fitting(comm, inputs, setup);
    setup.coverage.emplace(setup.plan, setup.instructions, inputs.run.seed);
    setup.key = fingerprint(inputs, setup);
    return setup;
}

std::int64_t token_limit(const SynthesisOptions& options, const PlannedGeneration& generation) {
    return options.max_new_tokens +
           (generation.turns.back().parse == "plain" ? 0 : options.max_thought_tokens);
}

lm::Question make_question(const SynthesisInputs& inputs, const PlannedGeneration& generation,
                           const Instruction& instruction, const std::vector<std::string>& earlier,
                           std::uint32_t attempt) {
    Prompt prompt = make_prompt(generation, instruction, earlier, inputs.run.seed);
    std::string purpose = generation.purpose;
    if (attempt > 0)
        purpose += fmt::format("attempt {}\n", attempt);
    return {std::move(prompt.messages),
            std::move(prompt.assistant_prefix),
            token_limit(inputs.synthesis, generation),
            RandomStream(inputs.run.seed, instruction.id, purpose),
            instruction.id,
            as_transcript(instruction),
            generation.name};
}

void SynthesisOptions::validate() const {
    sampling.validate();
    if (max_new_tokens < 1 || max_thought_tokens < 0 || max_input_tokens < 1 || batch_size < 1 ||
        merge_memory < 1 || parse_retries < 0 || plan_sample < 0)
        throw UsageError(
            "synthesis: max_new_tokens, max_input_tokens, batch_size and merge_memory must be at "
            "least 1 and max_thought_tokens, parse_retries and plan_sample at least 0");
    if (!(max_budget.cost >= 0 && max_budget.hours >= 0))
        throw UsageError("synthesis.max_budget: cost and hours must be at least 0");
}

}  // namespace popalign::synthesis
