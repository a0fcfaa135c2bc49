#include <popalign/base/error.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/preference/batch_plan.hpp>
#include <popalign/preference/packed_pairs.hpp>
#include <popalign/preference/pair_trainer.hpp>

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

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

/// [pairs, 2] float64: chosen, rejected.
at::Tensor reference_tensor(std::span<const ReferencedPair> pairs, at::Device device) {
    std::vector<double> values;
    for (const ReferencedPair& pair : pairs) {
        values.push_back(pair.reference_chosen);
        values.push_back(pair.reference_rejected);
    }
    return at::tensor(values, at::kDouble).view({-1, 2}).to(device);
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

void PairTrainer::accumulate(std::span<const ReferencedPair> pairs, std::size_t global_pairs,
                             PairStatistics& statistics) {
    const auto examples = examples_of(pairs);
    const at::Tensor policy = sequence_log_probabilities(model_, pack_pairs(examples));
    const at::Tensor reference = reference_tensor(pairs, model_.device());
    const PairLosses losses = options_.objective(
        {policy.select(1, 0), policy.select(1, 1), reference.select(1, 0), reference.select(1, 1)},
        options_.beta);
    (losses.losses.sum() / static_cast<double>(global_pairs)).backward();

    const at::Tensor table =
        at::stack({losses.losses.detach(), losses.chosen_rewards, losses.rejected_rewards,
                   policy.detach().select(1, 0), policy.detach().select(1, 1)},
                  1)
            .to(at::kCPU, at::kDouble)
            .contiguous();
    const double* row = table.data_ptr<double>();
    for (std::size_t i = 0; i < pairs.size(); ++i, row += table.size(1))
        statistics.add({pairs[i].example.strategy, row[0], row[1], row[2], row[3], row[4],
                        lengths_of(pairs[i].example).sequences()});
}

void PairTrainer::check_finite(std::span<const ReferencedPair> mine,
                               const PairStatistics& statistics) const {
    if (mine.empty() || (std::isfinite(statistics.mean_loss()) && std::isfinite(gradients_.norm())))
        return;
    std::vector<std::uint64_t> rows;
    for (const ReferencedPair& pair : mine)
        rows.push_back(pair.example.pair);
    throw Error(fmt::format(
        "loss or gradient is not finite at step {} among the pairs {} (loss {}); look at them with "
        "`popalign inspect --row`, or lower train.learning_rate",
        optimizer_.steps() + 1, fmt::join(rows, ", "), statistics.mean_loss()));
}

StepReport PairTrainer::compute_gradients(std::span<const ReferencedPair> mine,
                                          std::size_t global_pairs) {
    const auto start = Clock::now();
    StepReport report{PairStatistics(strategies_)};
    gradients_.clear();
    std::vector<PairLengths> lengths;
    for (const ReferencedPair& pair : mine)
        lengths.push_back(lengths_of(pair.example));
    std::optional<Error> failure;
    try {
        for (const Range& range : micro_batches(lengths, options_.micro_batch_tokens))
            accumulate(mine.subspan(range.begin, range.size()), global_pairs, report.statistics);
        check_finite(mine, report.statistics);
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

StepReport PairTrainer::step(std::span<const ReferencedPair> mine, std::size_t global_pairs,
                             double learning_rate) {
    StepReport report = compute_gradients(mine, global_pairs);
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
