#include "app/command/config_command.hpp"
#include "app/command/cost_log.hpp"
#include "app/evaluate/evaluate_arguments.hpp"
#include "app/stages/stages.hpp"

#include <popalign/base/file.hpp>
#include <popalign/base/provenance.hpp>
#include <popalign/evaluation/win_rate_stage.hpp>
#include <popalign/preference/held_out_stage.hpp>
#include <popalign/synthesis/synthesis_stage.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <memory>
#include <optional>

namespace popalign::app {
namespace {

EvaluationTarget target_of(const EvaluateArguments& arguments, const Config& config,
                           const std::string& name) {
    return {arguments.policy(config), arguments.output_path(config, name)};
}

}  // namespace

ExitStatus run_preference_stage(const CommandContext& context, const Config& config,
                                const EvaluationTarget& target) {
    const preference::HeldOutInputs inputs = comm::run_on_all(context.comm, [&] {
        return preference::HeldOutInputs{
            synthesis::pair_file_path(config.run), target.model,
            find_model(config, config.train.reference.empty() ? config.train.model
                                                              : config.train.reference),
            config.run.device, config.train};
    });
    std::string figures;
    with_cost(context, config, "evaluate preference", [&] {
        figures = preference::evaluate_held_out_pairs(context.comm, inputs, context.logger);
        return ExitStatus::done;
    });
    comm::run_on_all(context.comm, [&] {
        if (!context.comm.is_root())
            return;
        std::filesystem::create_directories(target.output.parent_path());
        write_text_file(target.output, figures + "\n");
        context.logger.info(fmt::format("{} written", target.output.native()));
    });
    return ExitStatus::done;
}

ExitStatus run_win_rate_stage(const CommandContext& context, const Config& config,
                              const EvaluationTarget& target) {
    const Deadline deadline = make_deadline(config.run);
    const lm::ModelRanks ranks(context.comm, config.run.tensor_parallel);
    return with_cost(context, config, "evaluate win-rate", [&] {
        return ranks.run([&] {
            return evaluation::run_win_rate(
                ranks,
                {config.run, config.models, config.evaluate, target.model,
                 synthesis::pair_file_path(config.run), target.output,
                 provenance_json(context.comm.size(), context.command_line), context.logger},
                deadline);
        });
    });
}

Command make_evaluate_preference_command(CLI::App& evaluate) {
    auto arguments = std::make_shared<EvaluateArguments>();
    CLI::App* parser =
        evaluate.add_subcommand("preference", "reward accuracy and margin on the held-out pairs");
    arguments->add_to(*parser);
    return {parser, [arguments](const CommandContext& context) {
                return with_config(context, arguments->config, [&](const Config& config) {
                    const auto target = comm::run_on_all(context.comm, [&] {
                        return target_of(*arguments, config, "preference.json");
                    });
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
                    const auto target = comm::run_on_all(context.comm, [&] {
                        return target_of(*arguments, config, "win_rate.json");
                    });
                    return run_win_rate_stage(context, config, target);
                });
            }};
}

}  // namespace popalign::app
