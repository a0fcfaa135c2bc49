#include "preference/pairs/pair_trainer.hpp"

#include "preference/data/batch_plan.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/range.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

namespace popalign::preference {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

/// `policy` [pairs, 2]: chosen, rejected.
std::vector<PairScore> scores_of(std::span<const ReferencedPair> pairs, const at::Tensor& policy) {
    const at::Tensor values = policy.detach().to(at::kCPU, at::kDouble).contiguous();
    const double* value = values.data_ptr<double>();
    std::vector<PairScore> scores;
    for (const ReferencedPair& pair : pairs) {
        const PairLengths lengths = lengths_of(pair.example);
        scores.push_back({pair.example.pair, pair.example.strategy, value[0], value[1],
                          pair.reference_chosen, pair.reference_rejected, lengths.chosen,
                          lengths.rejected});
        value += 2;
    }
    return scores;
}

ReferencedPair referenced(const PairData& data, const CompletionLogProbabilities& reference,
                          std::size_t item) {
    if (reference.chosen.empty())
        return {data.example(item)};
    return {data.example(item), reference.chosen.at(item), reference.rejected.at(item)};
}

/// Runs of pairs that are one pass each.
std::vector<Range> passes_of(std::span<const ReferencedPair> pairs, std::int64_t budget) {
    std::vector<PairLengths> lengths;
    std::vector<PairHashes> hashes;
    for (const ReferencedPair& pair : pairs) {
        lengths.push_back(lengths_of(pair.example));
        hashes.push_back(hashes_of(pair.example));
    }
    return micro_batches(lengths, hashes, budget);
}

std::vector<PairExample> examples_of(std::span<const ReferencedPair> pairs) {
    std::vector<PairExample> examples;
    for (const ReferencedPair& pair : pairs)
        examples.push_back(pair.example);
    return examples;
}

}  // namespace

BatchShare load_share(const comm::Communicator& comm, const PairData& data,
                      const CompletionLogProbabilities& reference,
                      std::span<const std::size_t> batch, const PairData* mismatched,
                      const CompletionLogProbabilities* mismatched_reference) {
    BatchShare share;
    share.global_pairs = batch.size();
    for (const std::size_t item : batch)
        share.global_chosen_tokens += data.lengths[item].chosen;
    for (const std::size_t item :
         share_of_batch(batch, data.lengths, data.hashes, comm.rank(), comm.size())) {
        share.pairs.push_back(referenced(data, reference, item));
        if (mismatched != nullptr)
            share.mismatched.push_back(referenced(*mismatched, *mismatched_reference, item));
    }
    return share;
}

PairTrainer::PairTrainer(const comm::Communicator& comm, lm::TrainableLm& model,
                         const PairTrainerOptions& options, std::size_t strategies)
    : comm_(comm),
      options_(options),
      strategies_(strategies),
      update_(comm, model, options.update) {}

double PairTrainer::weight_of(std::uint32_t strategy) const {
    return options_.strategy_weights.empty() ? 1.0 : options_.strategy_weights.at(strategy);
}

double PairTrainer::starting_loss(const BatchShare& share) const {
    const BatchContext context = context_of(share);
    double sum = 0;
    for (const ReferencedPair& pair : share.pairs) {
        const PairLengths lengths = lengths_of(pair.example);
        const PairScore score{pair.example.pair,     pair.example.strategy,
                              pair.reference_chosen, pair.reference_rejected,
                              pair.reference_chosen, pair.reference_rejected,
                              lengths.chosen,        lengths.rejected};
        sum += weight_of(score.strategy) * options_.objective(score, context).loss;
    }
    return comm::all_reduce(comm_, sum, comm::Reduction::sum) /
           static_cast<double>(share.global_pairs);
}

BatchContext PairTrainer::context_of(const BatchShare& share) const {
    BatchContext context;
    context.tokens_per_pair =
        static_cast<double>(share.global_chosen_tokens) / static_cast<double>(share.global_pairs);
    return context;
}

std::vector<PairScore> PairTrainer::scores_without_gradients(
    std::span<const ReferencedPair> pairs) const {
    const c10::NoGradGuard no_gradients;
    std::vector<PairScore> scores;
    for (const Range& range : passes_of(pairs, options_.micro_batch_tokens)) {
        const auto part = pairs.subspan(range.begin, range.size());
        const auto found =
            scores_of(part, pair_values(update_.model(), pack_pairs(examples_of(part))));
        scores.insert(scores.end(), found.begin(), found.end());
    }
    return scores;
}

void PairTrainer::look_at_batch(const BatchShare& share, BatchContext& context) const {
    if (options_.objective.uses_matches())
        context.matches = match_by_rank(comm::all_gather_values(
            comm_, comm::run_on_all(comm_, [&] { return scores_without_gradients(share.pairs); })));
    if (!options_.objective.uses_divergence())
        return;
    const auto scores =
        comm::run_on_all(comm_, [&] { return scores_without_gradients(share.mismatched); });
    double sum = 0;
    for (const PairScore& score : scores)
        sum += score.policy_chosen - score.reference_chosen + score.policy_rejected -
               score.reference_rejected;
    sum = comm::all_reduce(comm_, sum, comm::Reduction::sum);
    context.divergence = std::max(0.0, sum / (2.0 * static_cast<double>(share.global_pairs)));
}

void PairTrainer::accumulate(std::span<const ReferencedPair> pairs, const BatchShare& share,
                             const BatchContext& context, const lm::PassOptions& pass,
                             StepReport& report) {
    const PackedPairs packed = pack_pairs(examples_of(pairs), options_.packing);
    report.cost += cost_of(update_.model().config(), packed);
    const at::Tensor policy = pair_values(update_.model(), packed, pass);
    const auto scores = scores_of(pairs, policy);
    std::vector<double> slopes;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
        const PairScore& score = scores[i];
        const PairLoss loss = options_.objective(score, context);
        require_usable(score, loss);
        const double weight = weight_of(score.strategy);
        for (const double slope : {loss.chosen_slope, loss.rejected_slope})
            slopes.push_back(weight * slope / static_cast<double>(share.global_pairs));
        report.statistics.add({score.strategy, weight, loss.loss, loss.chosen_reward,
                               loss.rejected_reward, score.policy_chosen, score.policy_rejected,
                               lengths_of(pairs[i].example).sequences()});
    }
    policy.backward(at::tensor(slopes, at::kDouble).view({-1, 2}).to(policy.device()));
}

void PairTrainer::require_usable(const PairScore& score, const PairLoss& loss) const {
    const bool finite = std::isfinite(loss.loss) && std::isfinite(loss.chosen_slope) &&
                        std::isfinite(loss.rejected_slope);
    if (finite && (loss.loss != 0 || options_.objective.can_vanish()))
        return;
    throw Error(fmt::format(
        "the loss of pair {} is {} at step {} (log-probabilities {} and {}, of the reference {} "
        "and {}); look at the pair with `popalign inspect --row {}`, or lower train.learning_rate",
        score.pair, loss.loss, update_.next(), score.policy_chosen, score.policy_rejected,
        score.reference_chosen, score.reference_rejected, score.pair));
}

void PairTrainer::find_culprits(const BatchShare& share, const BatchContext& context) {
    constexpr std::size_t most_named = 8;
    StepReport unused{PairStatistics(strategies_)};
    std::vector<std::uint64_t> pairs;
    std::string parameter_name;
    for (const ReferencedPair& pair : share.pairs) {
        update_.compute_local_gradient([&](const lm::PassOptions& pass) {
            accumulate({&pair, 1}, share, context, pass, unused);
        });
        for (const lm::NamedParameter& parameter : update_.model().trainable())
            if (parameter.tensor.grad().defined() &&
                !at::isfinite(parameter.tensor.grad()).all().item<bool>()) {
                pairs.push_back(pair.example.pair);
                if (parameter_name.empty())
                    parameter_name = parameter.name;
                break;
            }
        if (pairs.size() == most_named)
            break;
    }
    if (!pairs.empty())
        throw Error(fmt::format(
            "the gradient of pair {} is not finite at step {}, first in {}; look at it with "
            "`popalign inspect --row {}`, or lower train.learning_rate",
            fmt::join(pairs, ", "), update_.next(), parameter_name, pairs.front()));
}

void PairTrainer::share_report(StepReport& report, double seconds, double communication) const {
    comm::all_reduce(comm_, report.statistics.sums(), comm::Reduction::sum);
    TrainingCost& cost = report.cost;
    std::array sums{seconds,        communication, cost.projections,
                    cost.attention, cost.head,     static_cast<double>(cost.rows)};
    comm::all_reduce(comm_, std::span<double>(sums), comm::Reduction::sum);
    report.seconds = sums[0] / comm_.size();
    report.communication = sums[1] / comm_.size();
    cost = {sums[2], sums[3], sums[4], static_cast<std::int64_t>(sums[5])};
}

StepReport PairTrainer::compute_gradients(const BatchShare& share) {
    const auto start = Clock::now();
    StepReport report{PairStatistics(strategies_)};
    BatchContext context = context_of(share);
    look_at_batch(share, context);
    report.divergence = context.divergence;
    const auto ranges = passes_of(share.pairs, options_.micro_batch_tokens);
    const auto gradient =
        update_.compute_gradient(ranges.size(), [&](std::size_t i, const lm::PassOptions& pass) {
            accumulate(std::span(share.pairs).subspan(ranges[i].begin, ranges[i].size()), share,
                       context, pass, report);
        });
    share_report(report, seconds_since(start), gradient.wait_seconds);
    report.grad_norm = gradient.norm;
    if (std::isfinite(report.grad_norm))
        return report;
    comm::run_on_all(comm_, [&] { find_culprits(share, context); });
    throw comm::AgreedError(
        0, 1,
        fmt::format("the gradient summed over ranks is not finite at step {} (each "
                    "pair's is); lower train.learning_rate",
                    update_.next()),
        ExitStatus::failed);
}

StepReport PairTrainer::step(const BatchShare& share, double learning_rate) {
    StepReport report = compute_gradients(share);
    const auto start = Clock::now();
    report.communication += update_.apply_gradient(report.grad_norm, learning_rate);
    report.seconds += seconds_since(start);
    return report;
}

}  // namespace popalign::preference
