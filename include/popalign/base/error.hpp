#pragma once

#include <cstddef>
#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>

namespace popalign {

/// What the process tells its caller. Values are part of the contract with job scripts.
enum class ExitStatus {
    done = 0,
    failed = 1,     ///< something broke while working
    wrong_use = 2,  ///< command line, config or input format; said before any work starts
    requeue = 75    ///< stopped at a deadline or a signal with everything saved
};

/// The root of all errors that reach a user. `what()` is one line without a prefix:
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

/// The input at `file`, line `line` (counted from 1) cannot be used.
class InputError : public UsageError {
  public:
    InputError(std::string_view file, std::size_t line, std::string_view problem);
    /// For files without lines (binary formats, directories).
    InputError(std::string_view file, std::string_view problem);
};

/// Throws Error with the failed call, the library's own text and the place of the call.
[[noreturn]] void throw_call_failed(std::string_view call, std::string_view reason,
                                    std::source_location where = std::source_location::current());

/// The text of `errno` after a failed system call on `path`, as an Error.
[[noreturn]] void throw_system_error(std::string_view action, std::string_view path);

}  // namespace popalign
