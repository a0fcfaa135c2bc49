#pragma once

#include "app/command/command.hpp"

#include <vector>

namespace popalign::app {

/// Adds all commands as subcommands of `app`.
std::vector<Command> add_commands(CLI::App& app);

/// Parses the command line and runs its command. Throws AgreedError with `wrong_use` for a command
/// line that no command understands. Collective.
ExitStatus run_command_line(const comm::Communicator& comm, int argc, const char* const* argv);

}  // namespace popalign::app
