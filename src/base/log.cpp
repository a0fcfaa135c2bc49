#include <popalign/base/log.hpp>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <string>

namespace popalign {
namespace {

constexpr std::string_view level_marks[] = {"error: ", "warning: ", "", "debug: "};

std::string stamp() {
    return fmt::format(
        "{:%H:%M:%S}",
        fmt::localtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
}

}  // namespace

void write_line(std::string_view line) noexcept {
    try {
        std::string whole(line);
        whole += '\n';
        // A log line that cannot be written has nowhere to be reported.
        [[maybe_unused]] const auto written = ::write(STDERR_FILENO, whole.data(), whole.size());
    } catch (...) {
    }
}

void Logger::all(LogLevel level, std::string_view message) const {
    if (rank_ == 0 && level <= level_)
        write_line(fmt::format("{} {}{}", stamp(), level_marks[static_cast<int>(level)], message));
}

void Logger::local(LogLevel level, std::string_view message) const {
    if (level <= level_)
        write_line(fmt::format("{} [rank {}/{}] {}{}", stamp(), rank_, ranks_,
                               level_marks[static_cast<int>(level)], message));
}

}  // namespace popalign
