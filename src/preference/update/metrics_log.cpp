#include "preference/update/metrics_log.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/run_directory.hpp>
#include <popalign/comm/run.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

namespace popalign::preference {

MetricsLog::MetricsLog(std::filesystem::path path, std::uint64_t bytes)
    : path_(std::move(path)),
      descriptor_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)),
      bytes_(bytes) {
    if (!descriptor_)
        throw_system_error("open it", path_.native());
    bytes_ = std::min<std::uint64_t>(bytes, std::filesystem::file_size(path_));
    if (::ftruncate(descriptor_.get(), static_cast<off_t>(bytes_)) != 0)
        throw_system_error("shorten it", path_.native());
}

void MetricsLog::append(std::string_view line) {
    std::string text(line);
    text += '\n';
    std::string_view rest = text;
    while (!rest.empty()) {
        const ssize_t written = ::write(descriptor_.get(), rest.data(), rest.size());
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            throw_system_error("write it", path_.native());
        rest.remove_prefix(static_cast<std::size_t>(written));
    }
    bytes_ += text.size();
}

void MetricsLog::sync() {
    if (::fsync(descriptor_.get()) != 0)
        throw_system_error("flush it", path_.native());
}

std::optional<MetricsLog> open_metrics(const comm::Communicator& comm,
                                       const std::filesystem::path& directory,
                                       std::uint64_t bytes) {
    return comm::run_on_all(comm, [&]() -> std::optional<MetricsLog> {
        if (!comm.is_root())
            return std::nullopt;
        std::filesystem::create_directories(directory);
        return MetricsLog(TrainDirectory(directory).metrics(), bytes);
    });
}

}  // namespace popalign::preference
