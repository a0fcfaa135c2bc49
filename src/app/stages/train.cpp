#include "app/command/cost_log.hpp"
#include "app/command/with_config.hpp"
#include "app/stages/stages.hpp"

#include <popalign/base/run_directory.hpp>
#include <popalign/preference/train_stage.hpp>
#include <popalign/preference/training_plan.hpp>
#include <popalign/synthesis/synthesis_stage.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <memory>

namespace popalign::app {

namespace {

/// `num_tokens` of the last step.
std::uint64_t trained_tokens(const std::filesystem::path& metrics) {
    std::ifstream file(metrics);
    std::uint64_t tokens = 0;
    for (std::string line; std::getline(file, line);)
        if (const auto row = nlohmann::json::parse(line, nullptr, false); row.is_object())
            tokens = static_cast<std::uint64_t>(row.value("num_tokens", 0.0));
    return tokens;
}

preference::TrainInputs train_inputs(const CommandContext& context, const Config& config,
                                     preference::TrainGoal goal) {
    return comm::run_on_all(context.comm, [&] {
        preference::TrainInputs inputs;
        inputs.pair_file = synthesis::pair_file_path(config.run);
        inputs.directory = config.run.directory;
        inputs.model = find_model(config, config.train.model);
        if (!config.train.reference.empty())
            inputs.reference = find_model(config, config.train.reference);
        if (config.train.objective == "ppo") {
            config.train.validate();
            inputs.reward_model = find_model(config, config.train.ppo.reward_model);
            if (!config.train.ppo.critic.empty())
                inputs.critic = find_model(config, config.train.ppo.critic);
        }
        inputs.device = config.run.device;
        inputs.seed = config.run.seed;
        inputs.options = config.train;
        inputs.command = context.command_line;
        inputs.goal = goal;
        return inputs;
    });
}

ExitStatus print_plan(const CommandContext& context, const Config& config) {
    const preference::TrainInputs inputs =
        train_inputs(context, config, preference::TrainGoal::model);
    const std::string plan = preference::plan_training(context.comm, inputs, context.logger);
    if (context.comm.is_root())
        fmt::print("{}\n", plan);
    return ExitStatus::done;
}

}  // namespace

ExitStatus run_train_stage(const CommandContext& context, const Config& config,
                           preference::TrainGoal goal) {
    const preference::TrainInputs inputs = train_inputs(context, config, goal);
    const bool was_finished =
        std::filesystem::exists(RunDirectory(inputs.directory).train().finished());
    return with_cost(
        context, config, goal == preference::TrainGoal::model ? "train" : "reference",
        [&] {
            return preference::run_training(context.comm, inputs, make_deadline(config.run),
                                            context.logger);
        },
        [&](campaign::StageCost& cost) {
            if (goal == preference::TrainGoal::model && !was_finished)
                cost.tokens = trained_tokens(RunDirectory(inputs.directory).train().metrics());
        });
}

Command make_train_command(CLI::App& app) {
    struct Arguments {
        ConfigArguments config;
        bool reference_only = false, plan = false;
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* parser = app.add_subcommand("train", "aligns the student on the pairs");
    arguments->config.add_to(*parser);
    parser->add_flag("--reference-only", arguments->reference_only,
                     "compute the reference log-probabilities of the pairs into the pair file, and "
                     "leave");
    parser->add_flag("--plan", arguments->plan,
                     "say what memory and time training takes, and leave");
    return {parser, [arguments](const CommandContext& context) {
                return with_config(context, arguments->config, [&](const Config& config) {
                    if (arguments->plan)
                        return print_plan(context, config);
                    return run_train_stage(context, config,
                                           arguments->reference_only
                                               ? preference::TrainGoal::reference
                                               : preference::TrainGoal::model);
                });
            }};
}

}  // namespace popalign::app
