#pragma once

#include <cstddef>
#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>

namespace popalign {

/// Exit status of the process. Job scripts rely on the values.
enum class ExitStatus {
    done = 0,
    failed = 1,     ///< an error during the work
    wrong_use = 2,  ///< wrong command line, config or input format; reported before any work starts
    requeue = 75    ///< stopped at a deadline or a signal with everything saved
};

/// Base class of all errors that reach a user. `what()` is one line without a prefix:
/// `<file>:<line>: problem (why it is one); what to do`.
class Error : public std::runtime_error {
  public:
    explicit Error(const std::string& message, ExitStatus status = ExitStatus::failed)
        : std::runtime_error(message), status_(status) {}

    ExitStatus status() const noexcept { return status_; }

  private:
    ExitStatus status_;
};

/// Wrong command line, config or input format: exit status 2.
class UsageError : public Error {
  public:
    explicit UsageError(const std::string& message) : Error(message, ExitStatus::wrong_use) {}
};

/// The input at line `line` (from 1) of `file` cannot be used.
class InputError : public UsageError {
  public:
    InputError(std::string_view file, std::size_t line, std::string_view problem);
    /// For files without lines (binary formats, directories).
    InputError(std::string_view file, std::string_view problem);
};

/// Throws Error with the failed call, the library's own text and the source location of the call.
[[noreturn]] void throw_call_failed(std::string_view call, std::string_view reason,
                                    std::source_location where = std::source_location::current());

/// Throws Error with the text of `errno` after a failed system call on `path`.
[[noreturn]] void throw_system_error(std::string_view action, std::string_view path);

}  // namespace popalign
