#include "app/command/with_config.hpp"

#include <popalign/campaign/machine_check.hpp>
#include <popalign/campaign/machine_diagnosis.hpp>
#include <popalign/comm/collectives.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <string_view>

namespace popalign::app {
namespace {

ExitStatus print(const std::vector<campaign::MachineCheck>& checks, bool json) {
    std::puts((json ? campaign::checks_json(checks) : campaign::format_checks(checks)).c_str());
    const bool wrong = std::ranges::any_of(checks, [](const campaign::MachineCheck& check) {
        return check.finding == campaign::Finding::problem;
    });
    return wrong ? ExitStatus::failed : ExitStatus::done;
}

}  // namespace

std::optional<int> doctor_before_mpi(int argc, char** argv) {
    const std::vector<std::string_view> arguments(argv + 1, argv + argc);
    const char* tasks = std::getenv("SLURM_STEP_NUM_TASKS");
    const std::array ways{"PMIX_NAMESPACE", "PMI_RANK", "PMI_FD", "OMPI_COMM_WORLD_SIZE"};
    if (arguments.empty() || arguments.front() != "doctor" || tasks == nullptr ||
        std::atoi(tasks) < 2 ||
        std::ranges::any_of(ways, [](const char* name) { return std::getenv(name) != nullptr; }))
        return std::nullopt;
    const char* task = std::getenv("SLURM_PROCID");
    if (task == nullptr || std::string_view(task) == "0")
        print({campaign::check_launcher(1, std::atoi(tasks), false)},
              std::ranges::find(arguments, "--json") != arguments.end());
    return static_cast<int>(ExitStatus::failed);
}

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
    return {parser, [arguments](const CommandContext& context) {
                return with_config(context, arguments->config, [&](const Config& config) {
                    const auto checks = campaign::diagnose_machine(
                        context.comm, {config.run.directory, config.models, config.run.device});
                    ExitStatus status = ExitStatus::done;
                    if (context.comm.is_root())
                        status = print(checks, arguments->json);
                    return static_cast<ExitStatus>(comm::all_reduce<std::int32_t>(
                        context.comm, static_cast<std::int32_t>(status), comm::Reduction::maximum));
                });
            }};
}

}  // namespace popalign::app
