#include "app/command/with_config.hpp"
#include "app/evaluate/arguments.hpp"
#include "app/stages/stages.hpp"

#include <popalign/base/file.hpp>

#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>

namespace popalign::app {
namespace {

EvaluationTarget target_of(const EvaluateArguments& arguments, const Config& config,
                           const std::string& name) {
    return {arguments.policy(config), arguments.output_path(config, name)};
}

}  // namespace

Command make_evaluate_preference_command(CLI::App& evaluate) {
    auto arguments = std::make_shared<EvaluateArguments>();
    CLI::App* parser =
        evaluate.add_subcommand("preference", "reward accuracy and margin on the held-out pairs");
    arguments->add_to(*parser);
    return {parser, [arguments](const CommandContext& context) {
                return with_config(context, arguments->config, [&](const Config& config) {
                    const auto target = comm::run_on_all(
                        context.comm, [&] { return target_of(*arguments, config, "preference"); });
                    const ExitStatus status = run_preference_stage(context, config, target);
                    comm::run_on_all(context.comm, [&] {
                        if (context.comm.is_root())
                            std::fputs(read_text_file(target.output).c_str(), stdout);
                    });
                    return status;
                });
            }};
}

Command make_evaluate_win_rate_command(CLI::App& evaluate) {
    auto arguments = std::make_shared<EvaluateArguments>();
    CLI::App* parser = evaluate.add_subcommand(
        "win-rate", "judged win rate over the baseline on the held-out instructions");
    arguments->add_to(*parser);
    return {parser, [arguments](const CommandContext& context) {
                return with_config(context, arguments->config, [&](const Config& config) {
                    const auto target = comm::run_on_all(
                        context.comm, [&] { return target_of(*arguments, config, "win_rate"); });
                    return run_win_rate_stage(context, config, target);
                });
            }};
}

}  // namespace popalign::app
