#pragma once

#include <popalign/base/descriptor.hpp>
#include <popalign/comm/communicator.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

namespace popalign::preference {

/// Lines appended to a file, of which a checkpoint remembers how many bytes belong to it.
class MetricsLog {
  public:
    /// Keeps the first `bytes` of the file: what follows belongs to steps that are done again.
    MetricsLog(std::filesystem::path path, std::uint64_t bytes);

    void append(std::string_view line);
    void sync();
    std::uint64_t bytes() const noexcept { return bytes_; }

  private:
    std::filesystem::path path_;
    Descriptor descriptor_;
    std::uint64_t bytes_;
};

/// `directory`/metrics.jsonl, kept up to `bytes`, on the first rank; nothing on the others.
/// Collective.
std::optional<MetricsLog> open_metrics(const comm::Communicator& comm,
                                       const std::filesystem::path& directory, std::uint64_t bytes);

}  // namespace popalign::preference
