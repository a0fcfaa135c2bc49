#include "preference/update/model_update.hpp"

#include <popalign/comm/run.hpp>

#include <fmt/format.h>

#include <chrono>
#include <cmath>

namespace popalign::preference {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

ModelUpdate::ModelUpdate(const comm::Communicator& comm, lm::TrainableLm& model,
                         const Options& options)
    : comm_(comm),
      model_(model),
      options_(options),
      parameters_(comm, model.trainable(), options.sharding),
      optimizer_(parameters_.values(), parameters_.gradients(),
                 {.weight_decay = options.weight_decay}) {}

ModelUpdate::Gradient ModelUpdate::compute_gradient(std::size_t passes, const Pass& pass) {
    parameters_.clear();
    const auto failure =
        parameters_.run_passes(passes, [&](std::size_t i, TrainedParameters::Pass mode) {
            lm::PassOptions options{options_.activations, {}};
            if (mode == TrainedParameters::Pass::summed)
                options.layer_done = [this](std::int64_t layer) { parameters_.layer_done(layer); };
            pass(i, options);
        });
    const double waited = parameters_.waited();  // without what `end` adds, which is timed below
    const auto start = Clock::now();
    parameters_.end();
    parameters_.finish();
    comm::agree_on_failure(comm_, failure);
    const double wait_seconds = waited + seconds_since(start);
    return {parameters_.norm(), wait_seconds};
}

double ModelUpdate::apply_gradient(double norm, double learning_rate) {
    parameters_.clip(norm, options_.max_grad_norm);
    optimizer_.step(learning_rate);
    const auto start = Clock::now();
    parameters_.publish();
    return seconds_since(start);
}

double ModelUpdate::update(std::size_t passes, double learning_rate, const Pass& pass) {
    const double norm = compute_gradient(passes, pass).norm;
    if (!std::isfinite(norm))
        throw comm::AgreedError(
            0, 1,
            fmt::format("a gradient is not finite at update {}; lower train.learning_rate", next()),
            ExitStatus::failed);
    apply_gradient(norm, learning_rate);
    return norm;
}

void ModelUpdate::compute_local_gradient(const std::function<void(const lm::PassOptions&)>& pass) {
    parameters_.clear();
    parameters_.begin(TrainedParameters::Pass::local);
    pass({options_.activations, {}});
}

ModelUpdate::Options update_options(const TrainOptions& options) {
    constexpr std::int64_t floats_per_megabyte = (1 << 20) / sizeof(float);
    return {options.max_grad_norm,
            options.weight_decay,
            {parse_zero_stage(options.zero_stage), options.bucket_megabytes * floats_per_megabyte},
            options.activation_checkpointing ? lm::PassOptions::Activations::recompute
                                             : lm::PassOptions::Activations::keep};
}

}  // namespace popalign::preference
