#include "app/config_command.hpp"

#include <popalign/base/provenance.hpp>
#include <popalign/synthesis/synthesis_stage.hpp>

#include <CLI/CLI.hpp>

#include <memory>

namespace popalign {

Command make_synthesize_command(CLI::App& app) {
    struct Arguments {
        ConfigArguments config;
        bool plan = false;
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* parser = app.add_subcommand("synthesize", "instructions x strategies -> pair file");
    arguments->config.add_to(*parser);
    parser->add_flag("--plan", arguments->plan,
                     "print what would be made, with the first prompts, and leave");
    return {parser, [arguments](const CommandContext& context) {
                return with_config(context, arguments->config, [&](const Config& config) {
                    const SynthesisInputs inputs{
                        config.run,
                        config.models,
                        config.instructions,
                        config.strategies,
                        config.synthesis,
                        print_config(config),
                        provenance_json(context.comm.size(), context.command_line),
                        context.logger};
                    if (!arguments->plan) {
                        const Deadline deadline = make_deadline(config.run);
                        const ModelRanks ranks(context.comm, config.run.tensor_parallel);
                        return ranks.run([&] { return run_synthesis(ranks, inputs, deadline); });
                    }
                    run_on_all(context.comm, [&] {
                        if (context.comm.is_root())
                            std::puts(describe_synthesis(inputs).c_str());
                    });
                    return ExitStatus::done;
                });
            }};
}

}  // namespace popalign
