#include "app/command/cost_log.hpp"
#include "app/command/with_config.hpp"
#include "app/stages/stages.hpp"

#include <popalign/base/provenance.hpp>
#include <popalign/synthesis/synthesis_stage.hpp>

#include <CLI/CLI.hpp>

#include <memory>

namespace popalign::app {

namespace {

synthesis::SynthesisInputs synthesis_inputs(const CommandContext& context, const Config& config) {
    return {config.run,
            config.models,
            config.instructions,
            config.strategies,
            config.synthesis,
            print_config(config),
            provenance_json(context.comm.size(), context.command_line),
            context.logger};
}

}  // namespace

ExitStatus run_synthesize_stage(const CommandContext& context, const Config& config) {
    const synthesis::SynthesisInputs inputs = synthesis_inputs(context, config);
    const Deadline deadline = make_deadline(config.run);
    const lm::ModelRanks ranks(context.comm, config.run.tensor_parallel);
    const bool was_made = std::filesystem::exists(synthesis::pair_file_path(config.run));
    return with_cost(
        context, config, "synthesize",
        [&] {
            return ranks.run([&] { return synthesis::run_synthesis(ranks, inputs, deadline); });
        },
        [&](campaign::StageCost& cost) {
            if (was_made)
                return;
            cost.strategy_tokens =
                campaign::tokens_by_strategy(synthesis::pair_file_path(config.run));
            for (const auto& [name, tokens] : cost.strategy_tokens)
                cost.tokens += tokens;
        });
}

Command make_synthesize_command(CLI::App& app) {
    struct Arguments {
        ConfigArguments config;
        bool plan = false, merge_only = false;
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* parser = app.add_subcommand("synthesize", "instructions x strategies -> pair file");
    arguments->config.add_to(*parser);
    parser->add_flag("--plan", arguments->plan,
                     "print what would be made, its tokens, time and cost by a short calibration, "
                     "and the first prompts, and leave");
    parser->add_flag("--merge-only", arguments->merge_only,
                     "write the pairs that there are so far to pairs-so-far.h5 of the run's "
                     "directory, also while others make more, and leave");
    return {parser, [arguments](const CommandContext& context) {
                return with_config(context, arguments->config, [&](const Config& config) {
                    if (!arguments->plan && !arguments->merge_only)
                        return run_synthesize_stage(context, config);
                    const Deadline deadline = make_deadline(config.run);
                    const lm::ModelRanks ranks(context.comm, config.run.tensor_parallel);
                    return ranks.run([&] {
                        const synthesis::SynthesisInputs inputs = synthesis_inputs(context, config);
                        if (arguments->merge_only)
                            return synthesis::merge_so_far(ranks, inputs);
                        const std::string plan = synthesis::plan_synthesis(ranks, inputs, deadline);
                        if (context.comm.is_root())
                            std::puts(plan.c_str());
                        return ExitStatus::done;
                    });
                });
            }};
}

}  // namespace popalign::app
