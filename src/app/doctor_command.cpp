#include "app/config_command.hpp"

#include <popalign/campaign/machine_checks.hpp>
#include <popalign/comm/collectives.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <memory>

namespace popalign {

Command make_doctor_command(CLI::App& app) {
    struct Arguments {
        ConfigArguments config;
        bool json = false;
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* parser = app.add_subcommand(
        "doctor", "checks this machine and launcher: run it first, on the ranks of a job");
    arguments->config.add_to(*parser);
    parser->add_flag("--json", arguments->json, "JSON instead of a table");
    return {
        parser, [arguments](const CommandContext& context) {
            return with_config(context, arguments->config, [&](const Config& config) {
                const auto checks = check_machine(
                    context.comm, {config.run.directory, config.models, config.run.device});
                if (context.comm.is_root())
                    std::puts(
                        (arguments->json ? checks_json(checks) : format_checks(checks)).c_str());
                const bool wrong = std::ranges::any_of(checks, [](const MachineCheck& check) {
                    return check.finding == Finding::problem;
                });
                return wrong ? ExitStatus::failed : ExitStatus::done;
            });
        }};
}

}  // namespace popalign
