#include "app/config_command.hpp"

#include <popalign/preference/train_stage.hpp>
#include <popalign/synthesis/synthesis_stage.hpp>

#include <CLI/CLI.hpp>

#include <memory>

namespace popalign {

Command make_train_command(CLI::App& app) {
    auto arguments = std::make_shared<ConfigArguments>();
    CLI::App* parser = app.add_subcommand("train", "aligns the student on the pairs");
    arguments->add_to(*parser);
    return {parser, [arguments](const CommandContext& context) {
                return with_config(context, *arguments, [&](const Config& config) {
                    const TrainInputs inputs = run_on_all(context.comm, [&] {
                        TrainInputs made;
                        made.pair_file = pair_file_path(config.run);
                        made.directory = config.run.directory;
                        made.model = find_model(config, config.train.model);
                        if (!config.train.reference.empty())
                            made.reference = find_model(config, config.train.reference);
                        made.device = config.run.device;
                        made.seed = config.run.seed;
                        made.options = config.train;
                        made.command = context.command_line;
                        return made;
                    });
                    return run_training(context.comm, inputs, make_deadline(config.run),
                                        context.logger);
                });
            }};
}

}  // namespace popalign
