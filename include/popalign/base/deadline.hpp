#pragma once

#include <chrono>
#include <optional>

namespace popalign {

/// Tells when work must stop and be saved: after SIGTERM, SIGUSR1 or SIGINT, or when the end of the
/// job (SLURM_JOB_END_TIME, or `limit` from now) is less than `reserve` away. Only one may exist at
/// a time, because signal handlers belong to the process. Ranks must agree on the answer
/// (`agree_to_stop`).
class Deadline {
  public:
    struct Options {
        std::optional<std::chrono::seconds> limit;
        std::chrono::seconds reserve{60};
    };

    explicit Deadline(const Options& options);
    ~Deadline();
    Deadline(const Deadline&) = delete;
    Deadline& operator=(const Deadline&) = delete;

    bool reached() const noexcept;

  private:
    std::optional<std::chrono::system_clock::time_point> stop_at_;
};

}  // namespace popalign
