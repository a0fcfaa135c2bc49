#include <popalign/base/progress.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

namespace popalign {

std::string format_seconds(double seconds) {
    const auto whole = static_cast<std::int64_t>(std::llround(std::max(seconds, 0.0)));
    if (whole >= 3600)
        return fmt::format("{}h{:02}m", whole / 3600, whole % 3600 / 60);
    return whole >= 60 ? fmt::format("{}m{:02}s", whole / 60, whole % 60)
                       : fmt::format("{}s", whole);
}

Progress::Progress(const Logger& logger, std::string what, std::string unit, std::uint64_t total)
    : what_(std::move(what)),
      unit_(std::move(unit)),
      total_(total),
      visible_(logger.rank() == 0),
      terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
    if (visible_ && done_ > 0)
        show(true);
}

void Progress::advance(std::uint64_t count) {
    done_ += count;
    const auto interval = terminal_ ? std::chrono::milliseconds(200) : std::chrono::seconds(5);
    if (visible_ && Clock::now() - shown_ >= interval)
        show(false);
}

void Progress::show(bool last) {
    shown_ = Clock::now();
    const double seconds = std::chrono::duration<double>(shown_ - start_).count();
    const double rate = seconds > 0 ? static_cast<double>(done_) / seconds : 0;
    const double left = rate > 0 ? static_cast<double>(total_ - std::min(done_, total_)) / rate : 0;
    // Work that is taken over from other ranks was not expected of this one.
    const bool beyond = done_ > total_;
    std::string line = fmt::format("{}: {}{} {}, {:.3g} {}/s, {} {}{}{}", what_, done_,
                                   beyond ? "" : fmt::format("/{}", total_), unit_, rate, unit_,
                                   format_seconds(last || beyond ? seconds : left),
                                   last     ? "in all"
                                   : beyond ? "so far"
                                            : "left",
                                   note_.empty() ? "" : ", ", note_);
    if (!terminal_)
        return write_line(line);
    constexpr std::size_t width = 24;
    const auto filled = total_ == 0 ? width : std::min(width, width * done_ / total_);
    line = fmt::format("\r\033[K[{:<{}}] {}{}", std::string(filled, '='), width, line,
                       last ? "\n" : "");
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace popalign
