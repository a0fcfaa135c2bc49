#include "preference/update/training_steps.hpp"

#include "preference/update/optimizer.hpp"

#include <popalign/comm/run.hpp>

#include <cmath>

namespace popalign::preference {

ExitStatus run_steps(const comm::Communicator& comm, const Deadline& deadline,
                     const StepCount& steps, const std::function<void()>& next,
                     const std::function<void()>& save) {
    std::int64_t saved = steps.done;
    while (steps.done < steps.total) {
        next();
        const bool last = steps.done == steps.total;
        const bool stop = comm::agree_to_stop(comm, deadline) && !last;
        if (steps.done != saved && (stop || last || steps.done % steps.between_saves == 0)) {
            save();
            saved = steps.done;
        }
        if (stop)
            return ExitStatus::requeue;
    }
    return ExitStatus::done;
}

double scheduled_rate(double peak, double warmup_ratio, std::int64_t done, std::int64_t total) {
    const auto warmup =
        static_cast<std::int64_t>(std::ceil(warmup_ratio * static_cast<double>(total)));
    return peak * cosine_with_warmup(done, warmup, total);
}

}  // namespace popalign::preference
