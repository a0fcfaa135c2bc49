#include "preference/pairs/train_loop.hpp"

#include "preference/data/batch_plan.hpp"
#include "preference/data/training_pairs.hpp"
#include "preference/pairs/pair_trainer.hpp"
#include "preference/update/checkpoint.hpp"
#include "preference/update/metrics_log.hpp"
#include "preference/update/training_steps.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/progress.hpp>
#include <popalign/base/run_directory.hpp>
#include <popalign/comm/run.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

namespace popalign::preference {
namespace {

PairTrainerOptions trainer_options(const TrainingRun& run) {
    const TrainOptions& options = run.options;
    std::vector<double> weights;
    for (const std::string& name : run.data.strategy_names) {
        const auto weight = options.strategy_weights.find(name);
        weights.push_back(weight == options.strategy_weights.end() ? 1.0 : weight->second);
    }
    return {Objective(options), std::move(weights), options.micro_batch_tokens,
            update_options(options)};
}

MetricNames metric_names_of(const Objective& objective) {
    if (objective.uses_scores())
        return MetricNames::score;
    return objective.uses_rejected() ? MetricNames::preference : MetricNames::likelihood;
}

class TrainingLoop {
  public:
    TrainingLoop(const comm::Communicator& comm, lm::TrainableLm& model, const TrainingRun& run,
                 const Logger& logger)
        : comm_(comm),
          run_(run),
          logger_(logger),
          steps_per_epoch_(steps_per_epoch(run.data.size(), run.options.global_batch_size)),
          total_steps_(steps_per_epoch_ * run.options.epochs),
          checkpoints_(comm, TrainDirectory(run.directory).checkpoints(),
                       run.options.keep_checkpoints),
          trainer_(comm, model, trainer_options(run), run.data.strategy_names.size()),
          window_(run.data.strategy_names.size()),
          metric_names_(metric_names_of(Objective(run.options))) {}

    ExitStatus run(const Deadline& deadline) {
        resume();
        Progress progress(logger_, "train", "steps",
                          static_cast<std::uint64_t>(total_steps_ - state_.step));
        return run_steps(
            comm_, deadline, {state_.step, total_steps_, run_.options.checkpoint_steps},
            [&] {
                const StepReport report = next_step();
                progress.note(fmt::format("loss {:.4f}", report.statistics.mean_loss()));
                progress.advance();
            },
            [&] { save(); });
    }

  private:
    void resume() {
        const auto checkpoint = checkpoints_.latest();
        if (checkpoint) {
            comm::run_on_all(comm_, [&] {
                state_ = CheckpointStore::read_state(*checkpoint);
                require_same(state_.fingerprint, run_.fingerprint, checkpoint->native());
                window_.merge(state_.window);
            });
            checkpoints_.load(*checkpoint, state_.step, trainer_.update());
            logger_.info(fmt::format("continuing from {}", checkpoint->native()));
        }
        state_.fingerprint = run_.fingerprint;
        metrics_ = open_metrics(comm_, run_.directory, state_.metrics_bytes);
    }

    StepReport next_step() {
        const std::vector<std::size_t> batch = next_batch();
        const BatchShare share = comm::run_on_all(comm_, [&] {
            return load_share(comm_, run_.data, run_.reference, batch, run_.mismatched,
                              run_.mismatched_reference);
        });
        const std::int64_t total = total_steps_;
        const double rate = scheduled_rate(run_.options.learning_rate, run_.options.warmup_ratio,
                                           state_.step, total);
        const StepReport report = trainer_.step(share, rate);
        if (state_.step == 0)
            check_first_loss(share, report.statistics.mean_loss());

        ++state_.step;
        state_.tokens += report.statistics.tokens();
        window_.merge(report.statistics.sums());
        if (state_.step % run_.options.logging_steps == 0 || state_.step == total) {
            log(report, rate);
            window_.clear();
        }
        return report;
    }

    std::vector<std::size_t> file_order() const {
        std::vector<std::size_t> order(run_.data.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        return order;
    }

    std::vector<std::size_t> next_batch() {
        const std::int64_t epoch = state_.step / steps_per_epoch_;
        if (epoch != epoch_) {
            order_ = run_.options.shuffle ? epoch_order(run_.data.size(), run_.seed, epoch)
                                          : file_order();
            if (run_.options.batching == "by_instruction")
                order_ = order_by_instruction(order_, run_.data.hashes);
            epoch_ = epoch;
        }
        const auto size = static_cast<std::size_t>(run_.options.global_batch_size);
        const auto begin = static_cast<std::size_t>(state_.step % steps_per_epoch_) * size;
        const auto end = std::min(begin + size, order_.size());
        return {order_.begin() + static_cast<std::ptrdiff_t>(begin),
                order_.begin() + static_cast<std::ptrdiff_t>(end)};
    }

    /// Where the policy starts as its reference, the first loss is known beforehand.
    void check_first_loss(const BatchShare& share, double loss) const {
        if (run_.starting_point != StartingPoint::reference)
            return;
        const double expected = trainer_.starting_loss(share);
        const double tolerance = 1e-3 * std::max(0.1, run_.options.beta);
        const bool as_expected =
            std::abs(loss - expected) <= tolerance * std::max(1.0, std::abs(expected));
        comm::run_on_all(comm_, [&] {
            if (!as_expected)
                throw Error(fmt::format(
                    "the loss at step 1 is {:.6f} instead of {:.6f} (policy and reference differ "
                    "before any update: the stored reference log-probabilities are not this "
                    "model's); remove /reference from the pair file and train again",
                    loss, expected));
        });
    }

    void log(const StepReport& report, double rate) {
        if (!comm_.is_root())
            return;
        nlohmann::json line = window_.metrics(run_.data.strategy_names, metric_names_);
        line["step"] = state_.step;
        line["epoch"] = static_cast<double>(state_.step) / static_cast<double>(steps_per_epoch_);
        line["grad_norm"] = report.grad_norm;
        if (run_.mismatched != nullptr)
            line["kl"] = report.divergence;
        line["learning_rate"] = rate;
        line["num_tokens"] = static_cast<std::int64_t>(state_.tokens);
        line["perf/tokens_per_second"] = report.statistics.tokens() / report.seconds;
        line["perf/exposed_communication"] = report.communication / report.seconds;
        if (const double peak = 1e12 * run_.options.machine.teraflops; peak > 0)
            line["perf/mfu"] = report.cost.training() / (report.seconds * comm_.size() * peak);
        line["train/padding_fraction"] = 0.0;
        metrics_->append(line.dump());
    }

    void save() {
        comm::run_on_all(comm_, [&] {
            if (!comm_.is_root())
                return;
            metrics_->sync();
            state_.metrics_bytes = metrics_->bytes();
            state_.window.assign(window_.sums().begin(), window_.sums().end());
        });
        checkpoints_.save(state_, trainer_.update());
    }

    const comm::Communicator& comm_;
    const TrainingRun& run_;
    const Logger& logger_;
    std::int64_t steps_per_epoch_, total_steps_;
    CheckpointStore checkpoints_;
    PairTrainer trainer_;
    PairStatistics window_;
    MetricNames metric_names_;
    TrainingState state_;
    std::optional<MetricsLog> metrics_;  // on rank 0
    std::vector<std::size_t> order_;
    std::int64_t epoch_ = -1;
};

}  // namespace

ExitStatus train_on_pairs(const comm::Communicator& comm, lm::TrainableLm& model,
                          const TrainingRun& run, const Deadline& deadline, const Logger& logger) {
    comm::run_on_all(comm, [&] {
        require_pairs(run.data);
        for (const auto& [name, weight] : run.options.strategy_weights)
            if (std::ranges::find(run.data.strategy_names, name) == run.data.strategy_names.end())
                throw UsageError(
                    fmt::format("train.strategy_weights: the pair file has no strategy '{}'; it "
                                "has {}",
                                name, fmt::join(run.data.strategy_names, ", ")));
    });
    return TrainingLoop(comm, model, run, logger).run(deadline);
}

}  // namespace popalign::preference
