#include "preference/data/batch_plan.hpp"
#include "preference/data/training_pairs.hpp"
#include "preference/model/model_setup.hpp"
#include "preference/pairs/pair_trainer.hpp"
#include "preference/ppo/ppo_stage.hpp"
#include "preference/training_memory.hpp"

#include <popalign/base/memory.hpp>
#include <popalign/base/range.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/partwise_sum.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/preference/training_plan.hpp>

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

namespace popalign::preference {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double gigabyte = 1e9;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Measured or described speeds of a machine, per rank.
struct Rates {
    double flops = 0;              ///< of passes [1/s]
    double memory = 0;             ///< bytes a second of an update
    double node = 0, network = 0;  ///< bytes a second of a sum over ranks; 0: none
    double available = 0;          ///< bytes
    int ranks = 1, nodes = 1;
};

struct Schedule {
    std::int64_t steps = 0;
    double reference_flops = 0, training_flops = 0;  ///< of the slowest rank, an epoch
    double last_pass_flops = 0;                      ///< behind which sums can hide, a step
    double pairs = 0, tokens = 0;
};

/// Work of one rank in one step [FLOP].
struct RankFlops {
    double forward = 0, last_forward = 0;  ///< of all passes, and of the last
};

RankFlops flops_of(const PairData& data, std::span<const std::size_t> items,
                   const lm::ModelConfig& config, std::int64_t micro_batch_tokens) {
    std::vector<PairExample> examples;
    std::vector<PairLengths> lengths;
    std::vector<PairHashes> hashes;
    for (const std::size_t item : items) {
        examples.push_back(data.example(item));
        lengths.push_back(data.lengths[item]);
        hashes.push_back(data.hashes[item]);
    }
    RankFlops flops;
    for (const Range& range : micro_batches(lengths, hashes, micro_batch_tokens)) {
        const auto pairs = std::span(examples).subspan(range.begin, range.size());
        flops.last_forward = cost_of(config, pack_pairs(pairs)).forward();
        flops.forward += flops.last_forward;
    }
    return flops;
}

/// The batches of the first epoch. Of a long one, as many as can be looked at in seconds, evenly.
std::vector<std::vector<std::size_t>> sample_batches(const PairData& data,
                                                     const TrainOptions& options,
                                                     std::uint64_t seed) {
    constexpr std::size_t most = 64;
    auto order = epoch_order(data.size(), seed, 0);
    if (options.batching == "by_instruction")
        order = order_by_instruction(order, data.hashes);
    const auto size = static_cast<std::size_t>(options.global_batch_size);
    const std::size_t count = (order.size() + size - 1) / size;
    std::vector<std::vector<std::size_t>> batches;
    for (std::size_t i = 0; i < std::min(most, count); ++i) {
        const auto all = std::span(order).subspan(i * count / std::min(most, count) * size);
        const auto batch = all.first(std::min(size, all.size()));
        batches.emplace_back(batch.begin(), batch.end());
    }
    return batches;
}

/// Packs batches as training would, without computing anything.
Schedule schedule_of(const PairData& data, const lm::ModelConfig& config,
                     const TrainOptions& options, std::uint64_t seed, int ranks) {
    Schedule schedule;
    schedule.steps = steps_per_epoch(data.size(), options.global_batch_size);
    const auto batches = sample_batches(data, options, seed);
    const double weight = static_cast<double>(schedule.steps) / static_cast<double>(batches.size());
    for (const auto& batch : batches) {
        RankFlops slowest;
        for (int rank = 0; rank < ranks; ++rank) {
            const auto items = share_of_batch(batch, data.lengths, data.hashes, rank, ranks);
            const RankFlops flops = flops_of(data, items, config, options.micro_batch_tokens);
            if (flops.forward > slowest.forward)
                slowest = flops;
        }
        schedule.reference_flops += weight * slowest.forward;
        schedule.training_flops += weight * 3 * slowest.forward;
        schedule.last_pass_flops += 2 * slowest.last_forward / static_cast<double>(batches.size());
    }
    for (const PairLengths& lengths : data.lengths)
        schedule.tokens += static_cast<double>(lengths.sequences());
    schedule.pairs = static_cast<double>(data.size());
    return schedule;
}

struct Times {
    double reference = 0;                              ///< once
    double passes = 0, update = 0, communication = 0;  ///< an epoch; of communication the exposed

    double training() const noexcept { return passes + update + communication; }
};

Times times_of(const Schedule& schedule, const Rates& rates, const lm::ModelConfig& config,
               const TrainOptions& options) {
    const auto trained = static_cast<double>(trained_parameters(config, options));
    const double recompute = options.activation_checkpointing ? 4.0 / 3 : 1;
    const double ranks = rates.ranks, shards = options.zero_stage > 0 ? ranks : 1;
    const auto steps = static_cast<double>(schedule.steps);
    Times times;
    times.reference = schedule.reference_flops / rates.flops;
    times.passes = schedule.training_flops * recompute / rates.flops;
    // Cleared, normed and scaled; value and moments read and written.
    times.update = steps * trained * 4 * (3 + 7 / shards) / rates.memory;
    const double per_node = ranks / rates.nodes;
    const double bytes = trained * 4;
    double sum = 0;
    if (per_node > 1 && rates.node > 0)
        sum += 2 * bytes * (per_node - 1) / per_node / rates.node;
    if (rates.nodes > 1 && rates.network > 0)
        sum += 2 * bytes * (rates.nodes - 1) / rates.nodes / rates.network;
    const double hidden = schedule.last_pass_flops * recompute / rates.flops;
    times.communication = steps * std::max(sum - hidden, 0.05 * sum);
    return times;
}

/// Pairs of one pass.
std::vector<ReferencedPair> first_pass(const PairData& data, std::int64_t micro_batch_tokens) {
    std::vector<ReferencedPair> pairs;
    PackedSize size;
    for (std::size_t item = 0; item < data.size(); ++item) {
        if (!pairs.empty() && size.tokens() + size.cost(data.lengths[item], data.hashes[item]) >
                                  static_cast<std::uint64_t>(micro_batch_tokens))
            break;
        size.add(data.lengths[item], data.hashes[item]);
        pairs.push_back({data.example(item), 0, 0});
    }
    return pairs;
}

/// Bytes a second of a sum over ranks that all get.
double measure_sum(const comm::Communicator& comm) {
    comm::PartwiseSum sums(comm, comm.split_node());
    std::vector<float> buffer(static_cast<std::size_t>(comm.size()) << 20);
    double best = std::numeric_limits<double>::infinity();
    for (int i = 0; i < 4; ++i) {
        comm::barrier(comm);
        const auto start = Clock::now();
        sums.add(std::span(buffer), comm::PartwiseSum::Result::on_all);
        sums.finish();
        best = std::min(best, seconds_since(start));
    }
    const double ranks = comm.size();
    return 2 * static_cast<double>(buffer.size() * sizeof(float)) * (ranks - 1) / ranks / best;
}

/// One pass of the first pairs, an update, and a sum over ranks. The model is changed.
Rates measure(const comm::Communicator& comm, lm::TrainableLm& model, const PairData& data,
              const TrainOptions& options) {
    PairTrainerOptions trainer_options;
    trainer_options.objective = Objective({.beta = 1e-6});  // whatever the margins, a loss
    trainer_options.micro_batch_tokens = options.micro_batch_tokens;
    trainer_options.update.sharding.sharding = parse_zero_stage(options.zero_stage);
    PairTrainer trainer(comm, model, trainer_options, data.strategy_names.size());
    BatchShare share{first_pass(data, options.micro_batch_tokens)};
    share.global_pairs = share.pairs.size() * static_cast<std::size_t>(comm.size());
    share.global_chosen_tokens = 1;
    double flops = 0, seconds = 0;
    for (int i = 0; i < 3; ++i) {
        const StepReport report = trainer.compute_gradients(share);
        if (i == 0)  // buffers are new
            continue;
        flops += report.cost.training() / comm.size();
        seconds += report.seconds - report.communication;
    }
    Rates rates;
    rates.flops = flops / seconds;
    ModelUpdate& update = trainer.update();
    update.optimizer().step(0.0);
    const auto start = Clock::now();
    update.parameters().clip(1, 0.999);
    update.optimizer().step(0.0);
    const double shards = options.zero_stage > 0 ? comm.size() : 1;
    rates.memory = static_cast<double>(update.parameters().elements()) * 4 * (2 + 7 / shards) /
                   seconds_since(start);
    if (comm.size() > 1)
        rates.node = rates.network = measure_sum(comm);
    return rates;
}

Rates described(const MachineDescription& machine) {
    Rates rates;
    rates.flops = machine.teraflops * 1e12 * machine.efficiency;
    rates.memory = machine.memory_gigabytes_per_second * gigabyte;
    rates.node = machine.node_gigabytes_per_second * gigabyte;
    rates.network = machine.network_gigabytes_per_second * gigabyte;
    rates.available = machine.memory_gigabytes * gigabyte;
    rates.nodes = static_cast<int>(machine.nodes);
    rates.ranks = static_cast<int>(machine.nodes * machine.ranks_per_node);
    return rates;
}

nlohmann::ordered_json to_json(const TrainingMemory& memory) {
    return {{"program", memory.program},     {"weights", memory.weights},
            {"masters", memory.masters},     {"gradients", memory.gradients},
            {"optimizer", memory.optimizer}, {"activations", memory.activations},
            {"workspace", memory.workspace}, {"allocator", memory.allocator},
            {"buckets", memory.buckets},     {"total", memory.total()}};
}

nlohmann::ordered_json to_json(const Times& times, std::int64_t epochs) {
    const auto of_all = [&](double epoch) { return epoch * static_cast<double>(epochs); };
    return {{"reference", times.reference},
            {"passes", of_all(times.passes)},
            {"update", of_all(times.update)},
            {"exposed_communication", of_all(times.communication)},
            {"total", times.reference + of_all(times.training())}};
}

/// Measured on these ranks; `program` are the bytes of a rank without a model.
Rates rates_here(const comm::Communicator& comm, lm::TrainableLm& model, const PairData& data,
                 const TrainInputs& inputs, double program) {
    const auto available = static_cast<double>(available_memory());
    add_adapters(model, inputs.options, inputs.seed);
    Rates rates = measure(comm, model, data, inputs.options);
    const int local = comm.split_node().size();
    rates.ranks = comm.size();
    rates.nodes = std::max(1, comm.size() / local);
    rates.available = available / local + program;
    return rates;
}

}  // namespace

std::string plan_training(const comm::Communicator& comm, const TrainInputs& inputs,
                          const Logger& logger) {
    const TrainOptions& options = inputs.options;
    comm::run_on_all(comm, [&] { options.validate(); });
    if (options.objective == "ppo")
        return plan_ppo(comm, inputs, logger);
    const Objective objective(options);
    const PolicyCard policy = open_policy(comm, inputs.model);
    const PairData data = open_training_pairs(comm, inputs, policy.front_end, objective, logger);
    comm::run_on_all(comm, [&] { require_pairs(data); });
    const auto program = static_cast<double>(peak_memory());
    lm::TrainableLm model = objective.uses_scores()
                                ? load_reward_weights(comm, policy, inputs.device, inputs.seed)
                                : load_weights(comm, policy, inputs.device);
    const bool here = options.machine.nodes == 0;
    if (here)
        logger.info("measuring three passes, an update and a sum over ranks");
    const Rates rates =
        here ? rates_here(comm, model, data, inputs, program) : described(options.machine);

    const lm::ModelConfig& config = model.config();
    const Schedule schedule = schedule_of(data, config, options, inputs.seed, rates.ranks);
    Times times = times_of(schedule, rates, config, options);
    if (!objective.uses_reference())
        times.reference = 0;
    TrainingMemory memory =
        training_memory(config, model.dtype(), options, rates.ranks, options.micro_batch_tokens);
    memory.program = program;
    const std::int64_t largest =
        largest_micro_batch(config, model.dtype(), options, rates.ranks, program, rates.available);
    const nlohmann::ordered_json json{
        {"machine", here ? "this one, measured" : "as train.machine describes it"},
        {"ranks", rates.ranks},
        {"nodes", rates.nodes},
        {"pairs", data.size()},
        {"steps", schedule.steps * options.epochs},
        {"memory_bytes", to_json(memory)},
        {"memory_available_bytes", rates.available},
        {"largest_micro_batch_tokens", largest},
        {"seconds", to_json(times, options.epochs)},
        {"pairs_per_second", schedule.pairs / times.training()},
        {"tokens_per_second", schedule.tokens / times.training()},
        {"flops_per_second_of_a_rank", rates.flops}};
    return json.dump(2);
}

}  // namespace popalign::preference
