#include "lm/backends/endpoint_pacing.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

namespace popalign::lm {

ReplyKind classify_status(long status) {
    if (status >= 200 && status < 300)
        return ReplyKind::success;
    if (status >= 500 || status == 408 || status == 409 || status == 425 || status == 429)
        return ReplyKind::retry;
    if (status == 400 || status == 413 || status == 422)
        return ReplyKind::rejected;
    return ReplyKind::fatal;
}

std::optional<Seconds> parse_retry_after(std::string_view value, std::int64_t unix_now) {
    constexpr double longest = 3600;
    double seconds = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
    if (error != std::errc{} || end != value.data() + value.size()) {
        const auto date = curl_getdate(std::string(value).c_str(), nullptr);
        if (date < 0)
            return std::nullopt;
        seconds = static_cast<double>(date - unix_now);
    }
    if (!std::isfinite(seconds))
        return std::nullopt;
    return Seconds(std::clamp(seconds, 0.0, longest));
}

Seconds retry_wait(Seconds base, std::int64_t attempt, double uniform) {
    constexpr Seconds longest{60};
    const double doublings = static_cast<double>(std::clamp<std::int64_t>(attempt - 1, 0, 30));
    return std::min(base * std::exp2(doublings), longest) * (1 - uniform / 2);
}

PacingClock::time_point MinuteWindow::ready_at(double amount, PacingClock::time_point now) {
    if (limit_ <= 0)
        return now;
    for (; !entries_.empty() && entries_.front().until <= now; entries_.pop_front())
        spent_ -= entries_.front().amount;
    double spent = spent_;
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
        if (spent + amount <= limit_)
            return entry == entries_.begin() ? now : std::prev(entry)->until;
        spent -= entry->amount;
    }
    return entries_.empty() || spent_ + amount <= limit_ ? now : entries_.back().until;
}

void MinuteWindow::spend(std::size_t id, double amount, PacingClock::time_point now) {
    if (limit_ <= 0)
        return;
    entries_.push_back({now + std::chrono::minutes(1), id, amount});
    spent_ += amount;
}

void MinuteWindow::correct(std::size_t id, double amount) {
    const auto found = std::find_if(entries_.rbegin(), entries_.rend(),
                                    [&](const Entry& entry) { return entry.id == id; });
    if (found == entries_.rend())
        return;
    spent_ += amount - found->amount;
    found->amount = amount;
}

}  // namespace popalign::lm
