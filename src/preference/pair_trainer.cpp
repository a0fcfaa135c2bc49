#include "preference/gather.hpp"

#include <popalign/base/error.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/preference/batch_plan.hpp>
#include <popalign/preference/packed_pairs.hpp>
#include <popalign/preference/pair_trainer.hpp>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <optional>

namespace popalign {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<at::Tensor> tensors_of(const std::vector<NamedParameter>& parameters) {
    std::vector<at::Tensor> tensors;
    for (const NamedParameter& parameter : parameters)
        tensors.push_back(parameter.tensor);
    return tensors;
}

std::vector<PairLengths> all_lengths(std::span<const ReferencedPair> pairs) {
    std::vector<PairLengths> lengths;
    for (const ReferencedPair& pair : pairs)
        lengths.push_back(lengths_of(pair.example));
    return lengths;
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

std::vector<PairExample> examples_of(std::span<const ReferencedPair> pairs) {
    std::vector<PairExample> examples;
    for (const ReferencedPair& pair : pairs)
        examples.push_back(pair.example);
    return examples;
}

}  // namespace

PairTrainer::PairTrainer(const Communicator& comm, CausalLm& model,
                         const PairTrainerOptions& options, std::size_t strategies)
    : comm_(comm),
      model_(model),
      options_(options),
      strategies_(strategies),
      gradients_(model.parameters()),
      optimizer_(tensors_of(model.parameters()), gradients_.views(),
                 {.weight_decay = options.weight_decay}),
      reducer_(make_tensor_reducer(comm, model.device())) {}

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
    return all_reduce(comm_, sum, Reduction::sum) / static_cast<double>(share.global_pairs);
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
    for (const Range& range : micro_batches(all_lengths(pairs), options_.micro_batch_tokens)) {
        const auto part = pairs.subspan(range.begin, range.size());
        const auto found = scores_of(part, pair_values(model_, pack_pairs(examples_of(part))));
        scores.insert(scores.end(), found.begin(), found.end());
    }
    return scores;
}

void PairTrainer::look_at_batch(const BatchShare& share, BatchContext& context) const {
    if (options_.objective.uses_matches())
        context.matches = match_by_rank(gather_all(
            comm_, run_on_all(comm_, [&] { return scores_without_gradients(share.pairs); })));
    if (!options_.objective.uses_divergence())
        return;
    const auto scores =
        run_on_all(comm_, [&] { return scores_without_gradients(share.mismatched); });
    double sum = 0;
    for (const PairScore& score : scores)
        sum += score.policy_chosen - score.reference_chosen + score.policy_rejected -
               score.reference_rejected;
    sum = all_reduce(comm_, sum, Reduction::sum);
    context.divergence = std::max(0.0, sum / (2.0 * static_cast<double>(share.global_pairs)));
}

void PairTrainer::accumulate(std::span<const ReferencedPair> pairs, const BatchShare& share,
                             const BatchContext& context, PairStatistics& statistics) {
    const at::Tensor policy = pair_values(model_, pack_pairs(examples_of(pairs)));
    const auto scores = scores_of(pairs, policy);
    std::vector<double> slopes;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
        const PairScore& score = scores[i];
        const PairLoss loss = options_.objective(score, context);
        require_usable(score, loss);
        const double weight = weight_of(score.strategy);
        for (const double slope : {loss.chosen_slope, loss.rejected_slope})
            slopes.push_back(weight * slope / static_cast<double>(share.global_pairs));
        statistics.add({score.strategy, weight, loss.loss, loss.chosen_reward, loss.rejected_reward,
                        score.policy_chosen, score.policy_rejected,
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
        score.pair, loss.loss, optimizer_.steps() + 1, score.policy_chosen, score.policy_rejected,
        score.reference_chosen, score.reference_rejected, score.pair));
}

void PairTrainer::require_finite_gradient(std::span<const ReferencedPair> mine) const {
    if (mine.empty() || std::isfinite(gradients_.norm()))
        return;
    std::vector<std::uint64_t> rows;
    for (const ReferencedPair& pair : mine)
        rows.push_back(pair.example.pair);
    throw Error(
        fmt::format("the gradient is not finite at step {} among the pairs {}; look at "
                    "them with `popalign inspect --row`, or lower train.learning_rate",
                    optimizer_.steps() + 1, fmt::join(rows, ", ")));
}

StepReport PairTrainer::compute_gradients(const BatchShare& share) {
    const auto start = Clock::now();
    StepReport report{PairStatistics(strategies_)};
    gradients_.clear();
    BatchContext context = context_of(share);
    look_at_batch(share, context);
    report.divergence = context.divergence;
    std::optional<Error> failure;
    try {
        for (const Range& range :
             micro_batches(all_lengths(share.pairs), options_.micro_batch_tokens))
            accumulate(std::span(share.pairs).subspan(range.begin, range.size()), share, context,
                       report.statistics);
        require_finite_gradient(share.pairs);
    } catch (const Error& error) {
        failure = error;
    } catch (const std::exception& error) {
        failure = Error(error.what());
    }

    // The first collective after the backward pass: whoever is early waits here.
    const auto communication = Clock::now();
    agree_on_failure(comm_, failure);
    reducer_->reduce(gradients_.flat());
    std::array seconds{0.0, seconds_since(communication)};
    all_reduce(comm_, report.statistics.sums(), Reduction::sum);
    seconds[0] = seconds_since(start);
    all_reduce(comm_, std::span<double>(seconds), Reduction::sum);
    report.seconds = seconds[0] / comm_.size();
    report.communication = seconds[1] / comm_.size();
    report.grad_norm = gradients_.norm();
    if (!std::isfinite(report.grad_norm))
        failure =
            Error(fmt::format("the gradient summed over ranks is not finite at step {}; lower "
                              "train.learning_rate",
                              optimizer_.steps() + 1));
    agree_on_failure(comm_, failure);
    return report;
}

StepReport PairTrainer::step(const BatchShare& share, double learning_rate) {
    StepReport report = compute_gradients(share);
    const auto start = Clock::now();
    // As torch's clip_grad_norm_.
    const double scale = options_.max_grad_norm / (report.grad_norm + 1e-6);
    if (scale < 1)
        gradients_.flat().mul_(scale);
    optimizer_.step(learning_rate);
    report.seconds += seconds_since(start);
    return report;
}

}  // namespace popalign
