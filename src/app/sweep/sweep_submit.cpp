#include "app/sweep/sweep.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/base/run_directory.hpp>
#include <popalign/campaign/sweep_results.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>

namespace popalign::app {
namespace {

/// The environment that this program was started with: MPI has since added its own to it, which
/// must not reach the jobs.
std::vector<std::string> first_environment() {
    std::ifstream file("/proc/self/environ", std::ios::binary);
    std::vector<std::string> variables;
    for (std::string text; std::getline(file, text, '\0');)
        variables.push_back(text);
    return variables;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> result;
    for (std::string& text : texts)
        result.push_back(text.data());
    result.push_back(nullptr);
    return result;
}

void run_program_once(std::vector<std::string> command, const std::vector<std::string>& more) {
    std::vector<std::string> environment = first_environment();
    for (const std::string& variable : more) {
        std::erase_if(environment, [&](const std::string& other) {
            return other.starts_with(variable.substr(0, variable.find('=') + 1));
        });
        environment.push_back(variable);
    }
    pid_t child = 0;
    const int problem = ::posix_spawnp(&child, command.front().c_str(), nullptr, nullptr,
                                       pointers(command).data(), pointers(environment).data());
    if (problem != 0) {
        errno = problem;
        throw_system_error("start", command.front());
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        throw Error(fmt::format("`{}` failed; see above", fmt::join(command, " ")));
}

/// A job a line: its name, the jobs it waits for, the file with its parts, their number.
std::string write_lists(const std::vector<campaign::SweepJob>& jobs,
                        const std::filesystem::path& folder) {
    std::string table;
    for (const campaign::SweepJob& job : jobs) {
        const std::filesystem::path list = folder / (job.name + ".txt");
        write_text_file(list, fmt::format("{}\n", fmt::join(job.units, "\n")));
        table += fmt::format("{} {} {} {}\n", job.name,
                             job.after.empty() ? "-" : fmt::format("{}", fmt::join(job.after, ",")),
                             list.filename().native(), job.units.size());
    }
    return table;
}

/// Without what is done already: dependencies on it are dropped too.
std::vector<campaign::SweepJob> left_to_do(std::vector<campaign::SweepJob> jobs,
                                           const std::filesystem::path& root) {
    std::vector<std::string> kept;
    std::vector<campaign::SweepJob> left;
    for (campaign::SweepJob& job : jobs) {
        std::erase_if(job.units, [&](const std::string& unit) {
            return campaign::read_status(root / unit).state == campaign::UnitState::done;
        });
        std::erase_if(job.after, [&](const std::string& name) {
            return std::ranges::find(kept, name) == kept.end();
        });
        if (job.units.empty())
            continue;
        kept.push_back(job.name);
        left.push_back(std::move(job));
    }
    return left;
}

}  // namespace

void submit_sweep(const Sweep& sweep, const SubmitOptions& options) {
    const campaign::SweepOptions& sweep_options = sweep.config.sweep;
    const std::filesystem::path root = sweep.config.run.directory, scripts = sweep_options.scripts;
    const std::filesystem::path folder = RunDirectory(root).slurm();
    const auto script = scripts / "submit_sweep.sh";
    if (!std::filesystem::exists(script))
        throw UsageError(script.native() +
                         " is not there; run from the repository's root or set "
                         "sweep.scripts");
    if (sweep.arguments.file.empty())
        throw UsageError("sweep --submit needs --config FILE, which its jobs read again");
    std::filesystem::create_directories(folder);
    const auto size = static_cast<std::size_t>(
        sweep_options.max_array_size > 0 ? sweep_options.max_array_size : 1'000'000);
    const auto jobs = left_to_do(campaign::make_sweep_jobs(sweep.plan, size), root);
    if (jobs.empty())
        throw UsageError("every part is done; `sweep --collect` makes the table");
    write_text_file(folder / "jobs.txt", write_lists(jobs, folder));
    std::vector<std::string> command{"bash", script.native(), folder.native(),
                                     std::to_string(sweep_options.max_running),
                                     std::filesystem::absolute(sweep.arguments.file).native()};
    for (const std::string& assignment : sweep.arguments.overrides) {
        command.push_back("--set");
        command.push_back(assignment);
    }
    command.push_back("--");
    command.insert(command.end(), options.sbatch_options.begin(), options.sbatch_options.end());
    run_program_once(std::move(command),
                     {"POPALIGN_MACHINE=" + options.machine,
                      "POPALIGN=" + std::filesystem::read_symlink("/proc/self/exe").native()});
}

}  // namespace popalign::app
