#pragma once

#include <string_view>

namespace popalign {

enum class LogLevel { error, warning, info, debug };

/// Writes lines for people to stderr, each as one write, with time and, for lines of a single rank,
/// that rank. A value: give it to whatever has something to say.
class Logger {
  public:
    Logger() = default;
    Logger(int rank, int ranks, LogLevel level) : rank_(rank), ranks_(ranks), level_(level) {}

    /// For what all ranks do together: rank 0 says it.
    void info(std::string_view message) const { all(LogLevel::info, message); }
    void warn(std::string_view message) const { all(LogLevel::warning, message); }
    /// For what concerns one rank: that rank says it, with its number.
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

/// One whole line to stderr in one write, so that lines of many ranks never mix.
void write_line(std::string_view line) noexcept;

}  // namespace popalign
