#pragma once

#include <string_view>

namespace popalign {

enum class LogLevel { error, warning, info, debug };

/// Writes log lines to stderr, each in one write, with the time and, for lines of a single rank,
/// the rank. A small copyable value.
class Logger {
  public:
    Logger() = default;
    Logger(int rank, int ranks, LogLevel level) : rank_(rank), ranks_(ranks), level_(level) {}

    /// For events that concern all ranks: rank 0 writes the line.
    void info(std::string_view message) const { all(LogLevel::info, message); }
    void warn(std::string_view message) const { all(LogLevel::warning, message); }
    /// For events that concern one rank: that rank writes the line, with its number.
    void info_local(std::string_view message) const { local(LogLevel::info, message); }
    void warn_local(std::string_view message) const { local(LogLevel::warning, message); }

    int rank() const noexcept { return rank_; }
    int ranks() const noexcept { return ranks_; }

  private:
    void all(LogLevel level, std::string_view message) const;
    void local(LogLevel level, std::string_view message) const;

    int rank_ = 0, ranks_ = 1;
    LogLevel level_ = LogLevel::info;
};

/// Writes one line to stderr in one write, so that lines of different ranks do not mix.
void write_line(std::string_view line) noexcept;

}  // namespace popalign
