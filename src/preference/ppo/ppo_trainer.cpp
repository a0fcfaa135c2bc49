#include "preference/ppo/ppo_trainer.hpp"

#include "preference/data/batch_plan.hpp"

#include <popalign/base/range.hpp>
#include <popalign/comm/collectives.hpp>

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace popalign::preference {
namespace {

enum Sum : std::size_t {
    tokens,
    policy_losses,
    value_losses,
    policy_clips,
    value_clips,
    squared_log_ratios,
    entropies,
    ratios,
    squared_ratios,
    sums
};

std::vector<double> to_doubles(const at::Tensor& tensor) {
    const at::Tensor values = tensor.detach().to(at::kCPU, at::kDouble).contiguous();
    return {values.data_ptr<double>(), values.data_ptr<double>() + values.numel()};
}

at::Tensor slopes_like(const at::Tensor& tensor, const std::vector<double>& slopes) {
    return at::tensor(slopes, at::kDouble).to(tensor.device(), tensor.scalar_type());
}

}  // namespace

/// The rollouts of one update that this rank computes, in passes.
struct PpoTrainer::Batch {
    std::vector<Rollout> rollouts;
    std::vector<Advantages> advantages;
    std::vector<Range> passes;
    double global_tokens = 0;

    std::span<const Rollout> part(std::size_t pass) const {
        return std::span(rollouts).subspan(passes[pass].begin, passes[pass].size());
    }
};

PpoTrainer::PpoTrainer(const comm::Communicator& comm, lm::TrainableLm& policy,
                       lm::TrainableLm& critic, const PpoTrainerOptions& options)
    : comm_(comm),
      options_(options),
      policy_(comm, policy, options.update),
      critic_(comm, critic, options.update),
      sums_(sums, 0.0) {}

std::int64_t PpoTrainer::updates(std::size_t rollouts) const noexcept {
    return options_.ppo.epochs * steps_per_epoch(rollouts, options_.global_batch_size);
}

void PpoTrainer::look_at(std::span<Rollout> rollouts) const {
    const std::int64_t budget = options_.micro_batch_tokens;
    fill_in(rollouts, &Rollout::log_probabilities, budget, [&](const PackedRollouts& packed) {
        return token_log_probabilities(policy_.model(), packed);
    });
    fill_in(rollouts, &Rollout::values, budget,
            [&](const PackedRollouts& packed) { return token_values(critic_.model(), packed); });
}

/// Returns this rank's share of `items` in `rollouts`.
PpoTrainer::Batch PpoTrainer::share_of(std::span<const Rollout> rollouts,
                                       std::span<const Advantages> advantages,
                                       std::span<const std::size_t> items) const {
    std::vector<PairLengths> lengths;
    std::vector<PairHashes> hashes;
    std::vector<std::size_t> places(items.size());
    std::iota(places.begin(), places.end(), std::size_t{0});
    Batch batch;
    for (const std::size_t item : items) {
        lengths.push_back(lengths_of(rollouts[item]));
        hashes.push_back(hashes_of(rollouts[item]));
        batch.global_tokens += lengths.back().chosen;
    }
    for (const std::size_t place :
         share_of_batch(places, lengths, hashes, comm_.rank(), comm_.size())) {
        batch.rollouts.push_back(rollouts[items[place]]);
        batch.advantages.push_back(advantages[items[place]]);
    }
    batch.passes = passes_of(batch.rollouts, options_.micro_batch_tokens);
    return batch;
}

double PpoTrainer::learn_policy(const Batch& batch, double learning_rate) {
    return policy_.update(
        batch.passes.size(), learning_rate, [&](std::size_t pass, const lm::PassOptions& options) {
            const PackedRollouts packed = pack_rollouts(batch.part(pass));
            const TokenPredictions found = predict_tokens(policy_.model(), packed, options);
            const auto logps = to_doubles(found.log_probabilities);
            std::vector<double> slopes;
            for (std::size_t i = batch.passes[pass].begin; i < batch.passes[pass].end; ++i) {
                const Rollout& rollout = batch.rollouts[i];
                for (std::size_t t = 0; t < rollout.completion.size(); ++t) {
                    const double logp = logps[slopes.size()], old = rollout.log_probabilities[t];
                    const TokenLoss loss = policy_loss(logp, old, batch.advantages[i].advantages[t],
                                                       options_.ppo.clip_range);
                    slopes.push_back(loss.slope / batch.global_tokens);
                    const double ratio = std::exp(logp - old);
                    sums_[policy_losses] += loss.loss;
                    sums_[policy_clips] += loss.clipped ? 1 : 0;
                    sums_[squared_log_ratios] += (logp - old) * (logp - old);
                    sums_[ratios] += ratio;
                    sums_[squared_ratios] += ratio * ratio;
                }
            }
            sums_[tokens] += static_cast<double>(slopes.size());
            sums_[entropies] += found.entropies.sum().item<double>();
            found.log_probabilities.backward(slopes_like(found.log_probabilities, slopes));
        });
}

double PpoTrainer::learn_values(const Batch& batch, double learning_rate) {
    return critic_.update(
        batch.passes.size(), learning_rate, [&](std::size_t pass, const lm::PassOptions& options) {
            const PackedRollouts packed = pack_rollouts(batch.part(pass));
            const at::Tensor found = token_values(critic_.model(), packed, options);
            const auto values = to_doubles(found);
            std::vector<double> slopes;
            for (std::size_t i = batch.passes[pass].begin; i < batch.passes[pass].end; ++i) {
                const Rollout& rollout = batch.rollouts[i];
                for (std::size_t t = 0; t < rollout.completion.size(); ++t) {
                    const TokenLoss loss =
                        value_loss(values[slopes.size()], rollout.values[t],
                                   batch.advantages[i].returns[t], options_.ppo.value_clip_range);
                    slopes.push_back(loss.slope / batch.global_tokens);
                    sums_[value_losses] += loss.loss;
                    sums_[value_clips] += loss.clipped ? 1 : 0;
                }
            }
            found.backward(slopes_like(found, slopes));
        });
}

PpoReport PpoTrainer::learn(std::span<const Rollout> rollouts, std::int64_t round,
                            double kl_coefficient, double learning_rate,
                            double critic_learning_rate) {
    const auto advantages = advantages_of(rollouts, options_.ppo, kl_coefficient);
    const auto size = static_cast<std::size_t>(options_.global_batch_size);
    std::ranges::fill(sums_, 0.0);
    PpoReport report;
    for (std::int64_t epoch = 0; epoch < options_.ppo.epochs; ++epoch) {
        const auto order =
            epoch_order(rollouts.size(), options_.seed, round * options_.ppo.epochs + epoch);
        for (std::size_t begin = 0; begin < order.size(); begin += size) {
            const Batch batch =
                share_of(rollouts, advantages,
                         std::span(order).subspan(begin, std::min(size, order.size() - begin)));
            report.policy_grad_norm += learn_policy(batch, learning_rate);
            report.critic_grad_norm += learn_values(batch, critic_learning_rate);
        }
    }
    comm::all_reduce(comm_, std::span<double>(sums_), comm::Reduction::sum);
    summarise(report, updates(rollouts.size()));
    return report;
}

void PpoTrainer::summarise(PpoReport& report, std::int64_t updates) const {
    const auto mean = [&](Sum sum) { return sums_[sum] / sums_[tokens]; };
    report.policy_loss = mean(policy_losses);
    report.value_loss = mean(value_losses);
    report.policy_clipped = mean(policy_clips);
    report.value_clipped = mean(value_clips);
    report.approximate_kl = mean(squared_log_ratios) / 2;
    report.entropy = mean(entropies);
    report.ratio = mean(ratios);
    report.ratio_variance = std::max(0.0, mean(squared_ratios) - report.ratio * report.ratio);
    report.policy_grad_norm /= static_cast<double>(updates);
    report.critic_grad_norm /= static_cast<double>(updates);
}

std::vector<Advantages> advantages_of(std::span<const Rollout> rollouts, const PpoOptions& options,
                                      double kl_coefficient) {
    std::vector<double> rewards;
    for (const Rollout& rollout : rollouts) {
        const auto rewards_of_rollout =
            token_rewards(rollout.log_probabilities, rollout.reference_log_probabilities,
                          rollout.score, kl_coefficient);
        rewards.insert(rewards.end(), rewards_of_rollout.begin(), rewards_of_rollout.end());
    }
    if (options.whiten_rewards)
        whiten(rewards, Mean::kept);
    std::vector<Advantages> result;
    std::vector<double> all;
    std::size_t offset = 0;
    for (const Rollout& rollout : rollouts) {
        result.push_back(
            estimate_advantages(std::span(rewards).subspan(offset, rollout.values.size()),
                                rollout.values, options.gamma, options.lambda));
        offset += rollout.values.size();
        all.insert(all.end(), result.back().advantages.begin(), result.back().advantages.end());
    }
    whiten(all, Mean::removed);
    auto next = all.begin();
    for (Advantages& advantages : result)
        for (double& value : advantages.advantages)
            value = *next++;
    return result;
}

}  // namespace popalign::preference
