#include "preference/data/batch_plan.hpp"
#include "preference/pairs/pair_trainer.hpp"
#include "preference/pairs/reference.hpp"

#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/transformer/device_memory.hpp>
#include <popalign/preference/training_bench.hpp>

#include <algorithm>
#include <chrono>
#include <span>
#include <vector>

namespace popalign::preference {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

PairTrainerOptions trainer_options(const TrainingBenchOptions& options) {
    PairTrainerOptions result;
    result.micro_batch_tokens = options.micro_batch_tokens;
    result.update.sharding.sharding = parse_zero_stage(options.zero_stage);
    if (options.activation_checkpointing)
        result.update.activations = lm::PassOptions::Activations::recompute;
    result.packing = options.separate_prompts ? PackingMode::separate : PackingMode::shared;
    return result;
}

std::vector<std::size_t> order_of(const PairData& data, const TrainingBenchOptions& options) {
    const auto order = epoch_order(data.size(), 0, 0);
    return options.batching == "by_instruction" ? order_by_instruction(order, data.hashes) : order;
}

void train_epoch(const comm::Communicator& comm, lm::TrainableLm& model, const PairData& data,
                 const CompletionLogProbabilities& reference, const TrainingBenchOptions& options,
                 TrainingBenchFigures& figures) {
    PairTrainer trainer(comm, model, trainer_options(options), data.strategy_names.size());
    const auto order = order_of(data, options);
    const auto size = static_cast<std::size_t>(options.global_batch_size);
    for (std::size_t begin = 0; begin < order.size(); begin += size) {
        const auto batch = std::span(order).subspan(begin, std::min(size, order.size() - begin));
        const BatchShare share =
            comm::run_on_all(comm, [&] { return load_share(comm, data, reference, batch); });
        const StepReport report = trainer.step(share, 5e-7);
        figures.training_seconds += report.seconds;
        figures.communication_seconds += report.communication;
        figures.tokens += report.statistics.tokens();
        figures.last_loss = report.statistics.mean_loss();
        figures.model_flops += report.cost.training();
        figures.computed_tokens += report.cost.rows;
    }
}

}  // namespace

TrainingBenchFigures measure_training(const comm::Communicator& comm, lm::TrainableLm& model,
                                      const lm::ModelFrontEnd& front_end,
                                      const TrainingBenchOptions& options, const Logger& logger) {
    const PairData data =
        open_pair_data(comm, options.pair_file, front_end, {Split::train, {}, {}},
                       TokenLimits{options.max_length, options.max_prompt_length});
    TrainingBenchFigures figures;
    figures.pairs = data.size();
    comm::barrier(comm);
    const auto start = Clock::now();
    const auto reference = compute_log_probabilities(comm, model, data, order_of(data, options),
                                                     options.micro_batch_tokens, nullptr, logger);
    figures.reference_seconds = seconds_since(start);
    train_epoch(comm, model, data, reference, options, figures);
    figures.peak_memory = comm::all_reduce(
        comm, static_cast<double>(lm::peak_memory(model.device())), comm::Reduction::sum);
    return figures;
}

}  // namespace popalign::preference
