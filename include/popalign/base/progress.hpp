#pragma once

#include <popalign/base/log.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace popalign {

/// Progress display, written by rank 0 only: a bar on a terminal, otherwise a line every few
/// seconds, with rate and time left. Counts are those of this rank; ranks are assumed to have about
/// equal shares.
class Progress {
  public:
    Progress(const Logger& logger, std::string what, std::string unit, std::uint64_t total);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    void advance(std::uint64_t count = 1);
    /// Sets a text shown after the figures, e.g. the current loss.
    void note(std::string text) { note_ = std::move(text); }

  private:
    void show(bool last);

    using Clock = std::chrono::steady_clock;
    std::string what_, unit_, note_;
    std::uint64_t total_, done_ = 0;
    Clock::time_point start_ = Clock::now(), shown_ = start_;
    bool visible_, terminal_;
};

/// `75` -> "1m15s".
std::string format_seconds(double seconds);

}  // namespace popalign
