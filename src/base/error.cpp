#include <popalign/base/error.hpp>

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

namespace popalign {

InputError::InputError(std::string_view file, std::size_t line, std::string_view problem)
    : UsageError(fmt::format("{}:{}: {}", file, line, problem)) {}

InputError::InputError(std::string_view file, std::string_view problem)
    : UsageError(fmt::format("{}: {}", file, problem)) {}

void throw_call_failed(std::string_view call, std::string_view reason, std::source_location where) {
    std::string_view file = where.file_name();
    if (auto source = file.rfind("/src/"); source != std::string_view::npos)
        file.remove_prefix(source + 1);
    throw Error(fmt::format("{}:{}: {} failed ({})", file, where.line(), call, reason));
}

void throw_system_error(std::string_view action, std::string_view path) {
    const int code = errno;
    const char* advice = code == ENOSPC || code == EDQUOT  ? "; free some space and run it again"
                         : code == EACCES || code == EROFS ? "; check the permissions"
                                                           : "";
    throw Error(fmt::format("{}: cannot {} ({}){}", path, action, std::strerror(code), advice));
}

}  // namespace popalign
