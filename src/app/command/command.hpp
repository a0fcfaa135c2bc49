#pragma once

#include <popalign/base/error.hpp>
#include <popalign/base/log.hpp>
#include <popalign/comm/communicator.hpp>

#include <functional>
#include <optional>
#include <string>

namespace CLI {
class App;
}

namespace popalign::app {

/// Ranks, log and command line of a running command.
struct CommandContext {
    const comm::Communicator& comm;
    Logger logger;
    std::string command_line;
};

/// A subcommand: its parser, and the function to call with the parsed options. Collective.
struct Command {
    CLI::App* parser;
    std::function<ExitStatus(const CommandContext&)> run;
};

Command make_synthesize_command(CLI::App& app);
Command make_judge_command(CLI::App& app);
Command make_train_command(CLI::App& app);
Command make_generate_command(CLI::App& app);
Command make_score_command(CLI::App& app);
Command make_tokenize_command(CLI::App& app);
Command make_inspect_command(CLI::App& app);
Command make_import_command(CLI::App& app);
Command make_export_command(CLI::App& app);
Command make_sweep_command(CLI::App& app);
Command make_doctor_command(CLI::App& app);

// Subcommand of `config`.
Command make_config_get_command(CLI::App& group);

// Subcommands of `evaluate`, besides the benchmarks.
Command make_evaluate_preference_command(CLI::App& evaluate);
Command make_evaluate_win_rate_command(CLI::App& evaluate);
Command make_evaluate_judge_command(CLI::App& evaluate);

// Subcommands of `bench`.
Command make_bench_generate_command(CLI::App& bench);
Command make_bench_schedule_command(CLI::App& bench);
Command make_bench_store_command(CLI::App& bench);
Command make_bench_train_command(CLI::App& bench);
Command make_bench_allreduce_command(CLI::App& bench);

/// Runs `doctor` where MPI cannot start: tasks of srun without PMIx exit in MPI_Init. The first
/// task prints the problem. Returns the exit status, or nothing if MPI may be started.
std::optional<int> doctor_before_mpi(int argc, char** argv);

}  // namespace popalign::app
