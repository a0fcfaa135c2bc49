#include "app/command_line.hpp"

#include "app/command/config.hpp"
#include "app/evaluate/benchmarks.hpp"

#include <popalign/base/provenance.hpp>
#include <popalign/comm/run.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <optional>
#include <string>

namespace popalign::app {

std::vector<Command> add_commands(CLI::App& app) {
    std::vector<Command> commands{make_synthesize_command(app), make_judge_command(app),
                                  make_train_command(app)};
    CLI::App* evaluate = app.add_subcommand("evaluate", "measure a model");
    evaluate->require_subcommand(1);
    commands.push_back(make_evaluate_preference_command(*evaluate));
    commands.push_back(make_evaluate_win_rate_command(*evaluate));
    for (const evaluation::BenchmarkRow& row : evaluation::benchmark_table())
        commands.push_back(make_benchmark_command(*evaluate, row));
    commands.push_back(make_evaluate_judge_command(*evaluate));
    CLI::App* bench = app.add_subcommand("bench", "speed, and the limit measured beside it");
    bench->require_subcommand(1);
    commands.push_back(make_bench_generate_command(*bench));
    commands.push_back(make_bench_schedule_command(*bench));
    commands.push_back(make_bench_store_command(*bench));
    commands.push_back(make_bench_train_command(*bench));
    commands.push_back(make_bench_allreduce_command(*bench));
    CLI::App* config = app.add_subcommand("config", "read a run's config");
    config->require_subcommand(1);
    commands.push_back(make_config_get_command(*config));
    for (auto* make :
         {make_generate_command, make_score_command, make_tokenize_command, make_inspect_command,
          make_import_command, make_export_command, make_sweep_command, make_doctor_command})
        commands.push_back(make(app));
    return commands;
}

namespace {

/// CLI11 asks for a command where it is given a word that is none.
std::string problem_of(const CLI::App& app, const CLI::ParseError& error) {
    const std::string problem = error.what();
    const auto unknown = app.remaining(true);
    if (problem != "A subcommand is required" || unknown.empty())
        return problem;
    return fmt::format("no command '{}': {}", unknown.front(), problem);
}

}  // namespace

ExitStatus run_command_line(const comm::Communicator& comm, int argc, const char* const* argv) {
    CLI::App app(
        "Aligns a language model without human labels (PopAlign, arXiv 2410.13785).\n"
        "Under srun or mpirun every command runs on all ranks.",
        "popalign");
    app.require_subcommand(1);
    app.set_version_flag("--version", build_summary());
    bool reference = false;
    app.add_flag("--config-reference", reference, "print every config key and leave");
    const std::vector<Command> commands = add_commands(app);

    // Every rank parses the same line; one of them prints the error.
    const auto parse = [&]() -> std::optional<ExitStatus> {
        try {
            app.parse(argc, argv);
        } catch (const CLI::ParseError& error) {
            if (reference && comm.is_root())
                std::fputs(config_reference().c_str(), stdout);
            else if (error.get_exit_code() == 0 && comm.is_root())
                app.exit(error);
            if (reference || error.get_exit_code() == 0)
                return ExitStatus::done;
            throw UsageError(
                fmt::format("command line: {}; see popalign --help", problem_of(app, error)));
        }
        return std::nullopt;
    };
    if (const auto finished = comm::run_on_all(comm, parse))
        return *finished;

    std::string command_line;
    for (int i = 0; i < argc; ++i)
        command_line += (i > 0 ? " " : "") + std::string(argv[i]);
    const CommandContext context{comm, Logger(comm.rank(), comm.size(), LogLevel::info),
                                 command_line};
    for (const Command& command : commands)
        if (command.parser->parsed())
            return command.run(context);
    return ExitStatus::wrong_use;
}

}  // namespace popalign::app
