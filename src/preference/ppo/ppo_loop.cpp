#include "preference/ppo/ppo_loop.hpp"

#include "preference/data/batch_plan.hpp"
#include "preference/ppo/ppo_trainer.hpp"
#include "preference/update/checkpoint.hpp"
#include "preference/update/metrics_log.hpp"
#include "preference/update/training_steps.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/progress.hpp>
#include <popalign/base/range.hpp>
#include <popalign/base/run_directory.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/engine/generator.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <numeric>
#include <optional>

namespace popalign::preference {
namespace {

PpoTrainerOptions trainer_options(const PpoRun& run) {
    const TrainOptions& options = run.options;
    return {options.ppo, options.global_batch_size, options.micro_batch_tokens, run.seed,
            update_options(options)};
}

/// Seconds of a round's parts, on this rank.
struct RoundTimes {
    std::array<double, 3> seconds{};  // generation, scoring, learning

    template <class Work>
    auto measure(std::size_t part, Work&& work) {
        const auto start = std::chrono::steady_clock::now();
        auto result = work();
        seconds[part] +=
            std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        return result;
    }
};

/// Means over a round's rollouts.
struct RolloutSummary {
    double kl = 0, entropy = 0, score = 0, tokens = 0;
    std::int64_t ended = 0;

    explicit RolloutSummary(std::span<const Rollout> rollouts) {
        for (const Rollout& rollout : rollouts) {
            const auto& policy = rollout.log_probabilities;
            const auto& reference = rollout.reference_log_probabilities;
            const double logp = std::accumulate(policy.begin(), policy.end(), 0.0);
            kl += logp - std::accumulate(reference.begin(), reference.end(), 0.0);
            entropy -= logp;
            score += rollout.score;
            tokens += static_cast<double>(rollout.completion.size());
            ended += rollout.ended ? 1 : 0;
        }
        for (double* sum : {&kl, &entropy, &score, &tokens})
            *sum /= static_cast<double>(rollouts.size());
    }
};

class PpoLoop {
  public:
    PpoLoop(const comm::Communicator& comm, lm::TrainableLm& policy, lm::TrainableLm& critic,
            const PpoRun& run, const Deadline& deadline, const Logger& logger)
        : comm_(comm),
          run_(run),
          deadline_(deadline),
          logger_(logger),
          batch_(static_cast<std::size_t>(run.options.ppo.rollout_batch_size)),
          rounds_per_epoch_(steps_per_epoch(run.prompts, run.options.ppo.rollout_batch_size)),
          rounds_(rounds_per_epoch_ * run.options.epochs),
          policy_checkpoints_(comm, TrainDirectory(run.directory).checkpoints(),
                              run.options.keep_checkpoints),
          critic_checkpoints_(comm, TrainDirectory(run.directory).critic_checkpoints(),
                              run.options.keep_checkpoints + 1),
          trainer_(comm, policy, critic, trainer_options(run)),
          generator_(policy, run.stop_tokens,
                     {.sampling = {}, .batch_size = run.options.ppo.generation_batch_size}),
          kl_coefficient_(run.options.ppo.kl_coefficient) {}

    ExitStatus run() {
        resume();
        Progress progress(logger_, "ppo", "rounds",
                          static_cast<std::uint64_t>(rounds_ - state_.step));
        return run_steps(
            comm_, deadline_, {state_.step, rounds_, run_.options.checkpoint_steps},
            [&] {
                RoundTimes times;
                auto answers = times.measure(
                    0, [&] { return comm::run_on_all(comm_, [&] { return draw(); }); });
                // Answering takes most of a round, and nothing has been learned from it yet.
                if (comm::agree_to_stop(comm_, deadline_))
                    return;
                progress.note(fmt::format("score {:.3f}", next_round(std::move(answers), times)));
                progress.advance();
            },
            [&] { save(); });
    }

    RoundSample sample() {
        RoundTimes times;
        auto answers =
            times.measure(0, [&] { return comm::run_on_all(comm_, [&] { return draw(); }); });
        if (comm::agree_to_stop(comm_, deadline_))
            throw Error("the time ran out while a round was measured");
        const auto rollouts = all_rollouts(std::move(answers), times);
        times.measure(2, [&] { return trainer_.learn(rollouts, 0, kl_coefficient_, 0, 0); });
        comm::all_reduce(comm_, std::span<double>(times.seconds), comm::Reduction::sum);
        for (double& seconds : times.seconds)
            seconds /= comm_.size();
        return {
            rounds_,          updates_in(rounds_), rollouts.size(), RolloutSummary(rollouts).tokens,
            times.seconds[0], times.seconds[1],    times.seconds[2]};
    }

  private:
    void resume() {
        if (const auto checkpoint = policy_checkpoints_.latest()) {
            const auto critic =
                TrainDirectory(run_.directory).critic_checkpoints() / checkpoint->filename();
            comm::run_on_all(comm_, [&] {
                state_ = CheckpointStore::read_state(*checkpoint);
                require_same(state_.fingerprint, run_.fingerprint, checkpoint->native());
                if (state_.window.size() != 1)
                    throw InputError(checkpoint->native(), "not a checkpoint of PPO");
                kl_coefficient_ = state_.window.front();
            });
            const std::int64_t updates = updates_in(state_.step);
            policy_checkpoints_.load(*checkpoint, updates, trainer_.policy());
            critic_checkpoints_.load(critic, updates, trainer_.critic());
            logger_.info(fmt::format("continuing from {}", checkpoint->native()));
        }
        state_.fingerprint = run_.fingerprint;
        metrics_ = open_metrics(comm_, run_.directory, state_.metrics_bytes);
    }

    /// Returns the updates of each model in the first `rounds` rounds.
    std::int64_t updates_in(std::int64_t rounds) const {
        std::int64_t updates = 0;
        for (std::int64_t round = 0; round < rounds; ++round)
            updates += trainer_.updates(places_of(round).size());
        return updates;
    }

    /// Returns the mean score.
    double next_round(std::vector<Rollout> answers, RoundTimes& times) {
        const auto rollouts = all_rollouts(std::move(answers), times);
        const RolloutSummary summary(rollouts);
        const double kl_coefficient = kl_coefficient_;
        const double rate = schedule(run_.options.learning_rate);
        const double critic_rate = run_.options.ppo.critic_learning_rate;
        const PpoReport report = times.measure(2, [&] {
            return trainer_.learn(rollouts, state_.step, kl_coefficient, rate,
                                  critic_rate > 0 ? schedule(critic_rate) : rate);
        });
        if (run_.options.ppo.kl_target > 0)
            kl_coefficient_ =
                adapted_kl_coefficient(kl_coefficient, summary.kl, run_.options.ppo.kl_target,
                                       std::ssize(rollouts), run_.options.ppo.kl_horizon);
        ++state_.step;
        for (const Rollout& rollout : rollouts)
            state_.tokens += static_cast<double>(rollout.prompt.size() + rollout.completion.size());
        comm::all_reduce(comm_, std::span<double>(times.seconds), comm::Reduction::sum);
        log(summary, report, times, {kl_coefficient, rate, rollouts.back().episode + 1});
        return summary.score;
    }

    double schedule(double peak) const {
        return scheduled_rate(peak, run_.options.warmup_ratio, state_.step, rounds_);
    }

    /// Where a round's prompts stand in the order of its epoch.
    Range places_of(std::int64_t round) const {
        const auto begin = static_cast<std::size_t>(round % rounds_per_epoch_) * batch_;
        return {begin, std::min(begin + batch_, run_.prompts)};
    }

    /// Every rank judges what it drew; all get all.
    std::vector<Rollout> all_rollouts(std::vector<Rollout> mine, RoundTimes& times) {
        times.measure(1, [&] {
            comm::run_on_all(comm_, [&] {
                trainer_.look_at(mine);
                run_.judge(mine);
                shape_scores(mine);
            });
            return 0;
        });
        std::vector<Rollout> all;
        for (auto& part : comm::all_gather_objects(comm_, mine))
            std::ranges::move(part, std::back_inserter(all));
        std::ranges::sort(all, {}, &Rollout::episode);
        return all;
    }

    /// This rank's share of a round, or a part of it if the deadline comes.
    std::vector<Rollout> draw() const {
        const std::int64_t epoch = state_.step / rounds_per_epoch_;
        const auto order = epoch_order(run_.prompts, run_.seed, epoch);
        const Range places = places_of(state_.step);
        std::vector<Rollout> rollouts;
        std::vector<lm::GenerationRequest> requests;
        for (std::size_t place = places.begin + static_cast<std::size_t>(comm_.rank());
             place < places.end; place += static_cast<std::size_t>(comm_.size())) {
            const std::uint64_t episode = static_cast<std::uint64_t>(epoch) * run_.prompts + place;
            rollouts.push_back({.episode = episode, .prompt = run_.prompt(order[place])});
            requests.push_back({rollouts.back().prompt, run_.options.ppo.max_new_tokens,
                                RandomStream(run_.seed, std::to_string(episode), "ppo")});
        }
        generator_.generate(
            requests,
            [&](std::size_t i, lm::GeneratedTokens answer) {
                rollouts[i].completion = std::move(answer.tokens);
                rollouts[i].ended = answer.stop_token.has_value();
                if (answer.stop_token)
                    rollouts[i].completion.push_back(*answer.stop_token);
            },
            [&] { return !deadline_.reached(); });
        return rollouts;
    }

    void shape_scores(std::span<Rollout> rollouts) const {
        const PpoOptions& options = run_.options.ppo;
        for (Rollout& rollout : rollouts) {
            if (!std::isfinite(rollout.score))
                throw Error(
                    fmt::format("the score of episode {} is {}", rollout.episode, rollout.score));
            if (options.reward_clip > 0)
                rollout.score =
                    std::clamp(rollout.score, -options.reward_clip, options.reward_clip);
            if (!rollout.ended)
                rollout.score -= options.missing_end_penalty;
        }
    }

    struct RoundSettings {
        double kl_coefficient, learning_rate;
        std::uint64_t episode;
    };
    void log(const RolloutSummary& summary, const PpoReport& report, const RoundTimes& times,
             const RoundSettings& settings) {
        if (!comm_.is_root())
            return;
        const double penalty = -settings.kl_coefficient * summary.kl;
        const nlohmann::json line = {
            {"step", state_.step},
            {"epoch", static_cast<double>(state_.step) / static_cast<double>(rounds_per_epoch_)},
            {"episode", settings.episode},
            {"lr", settings.learning_rate},
            {"num_tokens", static_cast<std::int64_t>(state_.tokens)},
            {"objective/kl", summary.kl},
            {"objective/kl_coefficient", settings.kl_coefficient},
            {"objective/entropy", summary.entropy},
            {"objective/scores", summary.score},
            {"objective/non_score_reward", penalty},
            {"objective/rlhf_reward", summary.score + penalty},
            {"objective/answer_tokens", summary.tokens},
            {"policy/approxkl_avg", report.approximate_kl},
            {"policy/clipfrac_avg", report.policy_clipped},
            {"policy/entropy_avg", report.entropy},
            {"policy/grad_norm", report.policy_grad_norm},
            {"loss/policy_avg", report.policy_loss},
            {"loss/value_avg", report.value_loss},
            {"val/clipfrac_avg", report.value_clipped},
            {"val/grad_norm", report.critic_grad_norm},
            {"val/ratio", report.ratio},
            {"val/ratio_var", report.ratio_variance},
            {"val/num_eos_tokens", summary.ended},
            {"timing/generation", times.seconds[0] / comm_.size()},
            {"timing/scoring", times.seconds[1] / comm_.size()},
            {"timing/learning", times.seconds[2] / comm_.size()}};
        metrics_->append(line.dump());
    }

    void save() {
        comm::run_on_all(comm_, [&] {
            if (!comm_.is_root())
                return;
            metrics_->sync();
            state_.metrics_bytes = metrics_->bytes();
        });
        state_.window = {kl_coefficient_};
        // The policy's is what a run goes on from: a critic's beside it is there by then.
        critic_checkpoints_.save(state_, trainer_.critic());
        policy_checkpoints_.save(state_, trainer_.policy());
    }

    const comm::Communicator& comm_;
    const PpoRun& run_;
    const Deadline& deadline_;
    const Logger& logger_;
    std::size_t batch_;
    std::int64_t rounds_per_epoch_, rounds_;
    CheckpointStore policy_checkpoints_, critic_checkpoints_;
    PpoTrainer trainer_;
    lm::Generator generator_;
    double kl_coefficient_;
    TrainingState state_;
    std::optional<MetricsLog> metrics_;  // on rank 0
};

void require_prompts(const comm::Communicator& comm, const PpoRun& run) {
    comm::run_on_all(comm, [&] {
        if (run.prompts == 0)
            throw UsageError("there are no training instructions to answer");
    });
}

}  // namespace

ExitStatus train_with_rewards(const comm::Communicator& comm, lm::TrainableLm& policy,
                              lm::TrainableLm& critic, const PpoRun& run, const Deadline& deadline,
                              const Logger& logger) {
    require_prompts(comm, run);
    return PpoLoop(comm, policy, critic, run, deadline, logger).run();
}

RoundSample sample_round(const comm::Communicator& comm, lm::TrainableLm& policy,
                         lm::TrainableLm& critic, const PpoRun& run, const Deadline& deadline,
                         const Logger& logger) {
    require_prompts(comm, run);
    return PpoLoop(comm, policy, critic, run, deadline, logger).sample();
}

}  // namespace popalign::preference
