#pragma once

#include <popalign/base/descriptor.hpp>
#include <popalign/comm/communicator.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

namespace popalign::preference {

/// Log of lines in a file; a checkpoint stores the file's length.
class MetricsLog {
  public:
    /// Truncates the file to `bytes`, since later lines belong to steps that are repeated.
    MetricsLog(std::filesystem::path path, std::uint64_t bytes);

    void append(std::string_view line);
    void sync();
    std::uint64_t bytes() const noexcept { return bytes_; }

  private:
    std::filesystem::path path_;
    Descriptor descriptor_;
    std::uint64_t bytes_;
};

/// Opens `directory`/metrics.jsonl, truncated to `bytes`, on the first rank; nothing on the others.
/// Collective.
std::optional<MetricsLog> open_metrics(const comm::Communicator& comm,
                                       const std::filesystem::path& directory, std::uint64_t bytes);

}  // namespace popalign::preference
