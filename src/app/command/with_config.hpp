#pragma once

#include "app/command/command.hpp"
#include "app/command/config.hpp"

#include <popalign/base/deadline.hpp>
#include <popalign/comm/run.hpp>

#include <cstdio>

namespace popalign::app {

/// Runs `body(config)` with the config that the command line names, or prints it. Collective.
template <class Body>
ExitStatus with_config(const CommandContext& context, const ConfigArguments& arguments,
                       Body&& body) {
    const Config config = comm::run_on_all(context.comm, [&] { return arguments.load(); });
    if (!arguments.print)
        return body(config);
    if (context.comm.is_root())
        std::fputs(print_config(config).c_str(), stdout);
    return ExitStatus::done;
}

inline Deadline make_deadline(const RunOptions& run) {
    Deadline::Options options;
    if (run.time_limit > 0)
        options.limit = std::chrono::seconds(run.time_limit);
    return Deadline(options);
}

}  // namespace popalign::app
