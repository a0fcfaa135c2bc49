#include "preference/update/learner.hpp"

#include <popalign/comm/run.hpp>

#include <fmt/format.h>

#include <cmath>

namespace popalign::preference {

Learner::Learner(const comm::Communicator& comm, lm::TrainableLm& model, const Options& options)
    : comm_(comm),
      model_(model),
      options_(options),
      parameters_(comm, model.trainable(), options.sharding),
      optimizer_(parameters_.values(), parameters_.gradients(),
                 {.weight_decay = options.weight_decay}) {}

double Learner::update(std::size_t passes, double learning_rate,
                       const std::function<void(std::size_t, const lm::PassOptions&)>& pass) {
    parameters_.clear();
    const auto failure =
        parameters_.run_passes(passes, [&](std::size_t i, TrainedParameters::Pass mode) {
            lm::PassOptions options{options_.activations, {}};
            if (mode == TrainedParameters::Pass::summed)
                options.layer_done = [this](std::int64_t layer) { parameters_.layer_done(layer); };
            pass(i, options);
        });
    parameters_.end();
    parameters_.finish();
    comm::agree_on_failure(comm_, failure);
    const double norm = parameters_.norm();
    if (!std::isfinite(norm))
        throw comm::AgreedError(0, 1,
                                fmt::format("a gradient is not finite at update {}; lower "
                                            "train.learning_rate",
                                            optimizer_.steps() + 1),
                                ExitStatus::failed);
    parameters_.clip(norm, options_.max_grad_norm);
    optimizer_.step(learning_rate);
    parameters_.publish();
    return norm;
}

}  // namespace popalign::preference
