#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>

namespace popalign::lm {

using PacingClock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

/// Meaning of an HTTP status for the request.
enum class ReplyKind {
    success,
    retry,     ///< may pass: 408, 409, 425, 429, 5xx
    rejected,  ///< this request's fault: 400, 413, 422
    fatal      ///< every request's fault: wrong key, wrong address, moved
};
ReplyKind classify_status(long status);

/// Retry-After (RFC 9110, 10.2.3) in seconds from now: a number or a date. Nothing if it is
/// neither; an hour at most.
std::optional<Seconds> parse_retry_after(std::string_view value, std::int64_t unix_now);

/// Wait before attempt `attempt` + 1 (from 1 on): `base` doubled each time up to 60 s, of which
/// `uniform` in [0, 1) takes up to half away so that clients do not come back together.
Seconds retry_wait(Seconds base, std::int64_t attempt, double uniform);

/// Amount spent in the last minute, against a limit. 0: no limit.
class MinuteWindow {
  public:
    explicit MinuteWindow(double limit) : limit_(limit) {}

    /// When `amount` more stays within the limit; more than the limit waits for an empty window.
    PacingClock::time_point ready_at(double amount, PacingClock::time_point now);
    void spend(std::size_t id, double amount, PacingClock::time_point now);
    /// Corrects the last amount of `id` to `amount`.
    void correct(std::size_t id, double amount);

  private:
    struct Entry {
        PacingClock::time_point until;
        std::size_t id;
        double amount;
    };
    double limit_, spent_ = 0;
    std::deque<Entry> entries_;
};

}  // namespace popalign::lm
