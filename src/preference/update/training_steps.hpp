#pragma once

#include <popalign/base/deadline.hpp>
#include <popalign/base/error.hpp>
#include <popalign/comm/communicator.hpp>

#include <cstdint>
#include <functional>

namespace popalign::preference {

struct StepCount {
    const std::int64_t& done;  ///< as `next` counts it
    std::int64_t total = 0, between_saves = 1;
};

/// Calls `next` until all steps are done or the deadline comes, and `save` in between and at the
/// end; returns as `train_on_pairs`. A step abandoned at the deadline does not
/// count. Collective.
ExitStatus run_steps(const comm::Communicator& comm, const Deadline& deadline,
                     const StepCount& steps, const std::function<void()>& next,
                     const std::function<void()>& save);

/// Returns the learning rate of the step after `done` of `total`; see `cosine_with_warmup`.
double scheduled_rate(double peak, double warmup_ratio, std::int64_t done, std::int64_t total);

}  // namespace popalign::preference
