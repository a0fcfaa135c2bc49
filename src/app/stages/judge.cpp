#include "app/command/cost_log.hpp"
#include "app/command/with_config.hpp"
#include "app/stages/stages.hpp"

#include <popalign/base/provenance.hpp>
#include <popalign/base/run_directory.hpp>
#include <popalign/contrast/judge_stage.hpp>
#include <popalign/synthesis/synthesis_stage.hpp>

#include <CLI/CLI.hpp>

#include <memory>

namespace popalign::app {

ExitStatus run_judge_stage(const CommandContext& context, const Config& config) {
    const auto directory = std::filesystem::path(config.run.directory);
    const contrast::JudgeInputs inputs{config.run,
                                       config.models,
                                       config.judge,
                                       synthesis::pair_file_path(config.run),
                                       RunDirectory(directory).contrast_accuracy(),
                                       provenance_json(context.comm.size(), context.command_line),
                                       context.logger};
    const Deadline deadline = make_deadline(config.run);
    const lm::ModelRanks ranks(context.comm, config.run.tensor_parallel);
    return with_cost(context, config, "judge", [&] {
        return ranks.run([&] { return contrast::run_judge(ranks, inputs, deadline); });
    });
}

Command make_judge_command(CLI::App& app) {
    auto arguments = std::make_shared<ConfigArguments>();
    CLI::App* parser =
        app.add_subcommand("judge", "verdicts into the pair file, contrast accuracy per strategy");
    arguments->add_to(*parser);
    return {parser, [arguments](const CommandContext& context) {
                return with_config(context, *arguments, [&](const Config& config) {
                    return run_judge_stage(context, config);
                });
            }};
}

}  // namespace popalign::app
