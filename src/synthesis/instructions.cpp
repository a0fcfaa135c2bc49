#include "synthesis/instructions.hpp"

#include "synthesis/question.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/range.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/store/rows/jsonl.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace popalign::synthesis {

namespace {

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

}  // namespace

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

std::vector<Instruction> fitting_instructions(const comm::Communicator& comm,
                                              const SynthesisInputs& inputs,
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

}  // namespace popalign::synthesis
