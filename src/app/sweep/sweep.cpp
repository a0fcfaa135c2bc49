#include "app/sweep/sweep.hpp"

#include "app/command/with_config.hpp"

#include <popalign/base/file.hpp>
#include <popalign/base/run_directory.hpp>
#include <popalign/campaign/sweep_results.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <functional>
#include <memory>

namespace popalign::app {
namespace {

struct Arguments {
    ConfigArguments config;
    SubmitOptions submit;
    std::string only;
    bool plan = false, local = false, send = false, status = false, collect = false;
};

void collect(const Sweep& sweep, const Logger& logger) {
    const auto path = RunDirectory(sweep.config.run.directory).results();
    std::filesystem::create_directories(path.parent_path());
    write_text_file(path, campaign::collect_csv(sweep.plan, sweep.config.run.directory));
    logger.info(fmt::format("{}: {} runs", path.native(), sweep.plan.runs.size()));
}

/// Prints a plan, a status or a table. The root does it alone.
void look(const CommandContext& context, const Arguments& arguments, const Sweep& sweep) {
    if (!context.comm.is_root())
        return;
    if (arguments.plan)
        std::puts(describe_sweep(sweep).c_str());
    else if (arguments.status)
        std::fputs(campaign::describe_status(sweep.plan, sweep.config.run.directory).c_str(),
                   stdout);
    else if (arguments.send)
        submit_sweep(sweep, arguments.submit);
    else
        collect(sweep, context.logger);
}

ExitStatus sweep_command(const CommandContext& context, const Arguments& arguments) {
    const Sweep sweep =
        comm::run_on_all(context.comm, [&] { return load_sweep(arguments.config); });
    if (!arguments.only.empty()) {
        const campaign::SweepUnit& unit = comm::run_on_all(
            context.comm, [&] { return std::cref(sweep.plan.find(arguments.only)); });
        return run_unit(context, sweep, unit);
    }
    ExitStatus status = ExitStatus::done;
    if (arguments.local) {
        status = run_sweep(context, sweep);
        if (status == ExitStatus::requeue)
            return status;
        comm::run_on_all(context.comm, [&] {
            if (context.comm.is_root())
                collect(sweep, context.logger);
        });
    } else {
        comm::run_on_all(context.comm, [&] { look(context, arguments, sweep); });
    }
    return status;
}

}  // namespace

Command make_sweep_command(CLI::App& app) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* parser =
        app.add_subcommand("sweep", "expands a sweep file into runs, does them, makes a table");
    arguments->config.add_to(*parser);
    CLI::Option_group* what = parser->add_option_group("what");
    what->add_flag("--plan", arguments->plan, "print the runs, what they share and core-hours");
    what->add_flag("--local", arguments->local, "do all of it here, on these ranks");
    what->add_flag("--submit", arguments->send, "submit it to Slurm as job arrays");
    what->add_flag("--status", arguments->status, "count what is done, started, failed, missing");
    what->add_flag("--collect", arguments->collect, "write results.csv: a row a run");
    what->add_option("--only", arguments->only, "do this one part, as --plan names it");
    what->require_option(1);
    parser->add_option("--machine", arguments->submit.machine, "file of slurm/machines, to submit");
    parser->add_option("sbatch", arguments->submit.sbatch_options,
                       "behind --: options of sbatch for the jobs");
    return {parser, [arguments](const CommandContext& context) {
                return with_config(context, arguments->config, [&](const Config&) {
                    return sweep_command(context, *arguments);
                });
            }};
}

}  // namespace popalign::app
