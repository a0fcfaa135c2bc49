#include "app/command/command.hpp"
#include "app/command/config.hpp"
#include "app/doctor_command.hpp"
#include "app/evaluate/evaluate_commands.hpp"

#include <popalign/base/provenance.hpp>
#include <popalign/comm/run.hpp>

#include <CLI/CLI.hpp>
#include <malloc.h>

#include <optional>
#include <vector>

namespace popalign::app {
namespace {

/// Tensors of many megabytes come and go in every step; by default glibc maps and unmaps each of
/// them, and the kernel clears their pages again and again.
void keep_large_buffers() {
    constexpr int gibibyte = 1 << 30;
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, gibibyte);
    mallopt(M_ARENA_MAX, 2);
}

std::vector<Command> add_commands(CLI::App& app) {
    std::vector<Command> commands{make_synthesize_command(app), make_judge_command(app),
                                  make_train_command(app)};
    CLI::App* evaluate = app.add_subcommand("evaluate", "measure a model");
    evaluate->require_subcommand(1);
    for (auto* make : {make_evaluate_preference_command, make_evaluate_win_rate_command,
                       make_evaluate_alpaca_eval_command, make_evaluate_arena_hard_command,
                       make_evaluate_mt_bench_command, make_evaluate_hh_rlhf_command,
                       make_evaluate_judge_command})
        commands.push_back(make(*evaluate));
    CLI::App* bench = app.add_subcommand("bench", "speed, and the limit measured beside it");
    bench->require_subcommand(1);
    commands.push_back(make_bench_generate_command(*bench));
    commands.push_back(make_bench_schedule_command(*bench));
    commands.push_back(make_bench_store_command(*bench));
    commands.push_back(make_bench_train_command(*bench));
    commands.push_back(make_bench_allreduce_command(*bench));
    for (auto* make :
         {make_generate_command, make_score_command, make_tokenize_command, make_inspect_command,
          make_import_command, make_export_command, make_sweep_command, make_doctor_command})
        commands.push_back(make(app));
    return commands;
}

ExitStatus run(const comm::Communicator& comm, int argc, char** argv) {
    CLI::App app(
        "Aligns a language model without human labels (PopAlign, arXiv 2410.13785).\n"
        "Under srun or mpirun every command runs on all ranks.",
        "popalign");
    app.require_subcommand(1);
    app.set_version_flag("--version", build_summary());
    bool reference = false;
    app.add_flag("--config-reference", reference, "print every config key and leave");
    const std::vector<Command> commands = add_commands(app);

    // Every rank parses the same line; one of them says what is wrong with it.
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
            throw UsageError(std::string("command line: ") + error.what() +
                             "; see popalign --help");
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

}  // namespace
}  // namespace popalign::app

int main(int argc, char** argv) {
    if (const auto status = popalign::app::doctor_before_mpi(argc, argv))
        return *status;
    popalign::app::keep_large_buffers();
    return popalign::comm::run_program(argc, argv, [&](const popalign::comm::Communicator& comm) {
        return popalign::app::run(comm, argc, argv);
    });
}
