#include <popalign/base/deadline.hpp>

#include <algorithm>
#include <csignal>
#include <cstdlib>

namespace popalign {
namespace {

// A handler may only set a flag of this type, and only a static one is in its reach.
volatile std::sig_atomic_t signal_seen = 0;
constexpr int stop_signals[] = {SIGTERM, SIGUSR1, SIGINT};

/// The system's time at the first call, and from then on what has passed since: a clock that is set
/// meanwhile changes nothing.
std::chrono::system_clock::time_point steady_time() {
    using Steady = std::chrono::steady_clock;
    static const auto first = std::chrono::system_clock::now();
    static const auto start = Steady::now();
    return first +
           std::chrono::duration_cast<std::chrono::system_clock::duration>(Steady::now() - start);
}

extern "C" void remember_signal(int) {
    signal_seen = 1;
}

}  // namespace

Deadline::Deadline(const Options& options) {
    signal_seen = 0;
    for (int signal : stop_signals)
        std::signal(signal, remember_signal);
    const auto now = steady_time();
    if (options.limit)
        stop_at_ = now + *options.limit;
    if (const char* end = std::getenv("SLURM_JOB_END_TIME")) {
        const auto seconds = std::strtoll(end, nullptr, 10);
        const auto job_end = std::chrono::system_clock::from_time_t(seconds) - options.reserve;
        if (seconds > 0)
            stop_at_ = stop_at_ ? std::min(*stop_at_, job_end) : job_end;
    }
}

Deadline::~Deadline() {
    for (int signal : stop_signals)
        std::signal(signal, SIG_DFL);
}

bool Deadline::reached() const noexcept {
    return signal_seen != 0 || (stop_at_ && steady_time() >= *stop_at_);
}

}  // namespace popalign
