#include "preference/training_memory.hpp"

#include <popalign/lm/transformer/architecture.hpp>
#include <popalign/lm/transformer/trainable_lm.hpp>

#include <c10/core/ScalarType.h>

#include <algorithm>
#include <string>

namespace popalign::preference {

std::int64_t trained_parameters(const lm::ModelConfig& config, const TrainOptions& options) {
    if (options.lora_rank == 0)
        return lm::parameter_count(config);
    std::int64_t sides = 0;
    for (const lm::WeightSpec& spec : lm::weight_specs(config))
        if (spec.is_matrix() &&
            std::ranges::find(options.lora_targets, spec.name) != options.lora_targets.end())
            sides += spec.shape[0] + spec.shape[1];
    return options.lora_rank * sides;
}

namespace {

/// Tensors come in other sizes with each pass and leave holes: SmolLM2-135M's runs took 0.05 to 0.4
/// of these parts more on a CPU (glibc).
constexpr double allocator_share = 0.25;

/// Numbers that a layer keeps of a row for the way back: what goes into norms and projections,
/// rotated queries and keys, values, and both sides of the gate.
double kept_by_layer(const lm::ModelConfig& config) {
    const auto query = static_cast<double>(config.query_size());
    const auto key_value = static_cast<double>(config.key_value_size());
    const double norms = config.has("attention_output_norm") ? 6 : 4;
    return norms * static_cast<double>(config.hidden_size) + 2 * query + 2 * key_value +
           3 * static_cast<double>(config.intermediate_size) +
           (config.has("q_norm") ? query + key_value : 0);
}

}  // namespace

TrainingMemory training_memory(const lm::ModelConfig& config, at::ScalarType dtype,
                               const TrainOptions& options, int ranks,
                               std::int64_t micro_batch_tokens) {
    const auto all = static_cast<double>(lm::parameter_count(config));
    const auto trained = static_cast<double>(trained_parameters(config, options));
    const double size = static_cast<double>(c10::elementSize(dtype));
    const double master = dtype == at::kDouble ? 8 : 4;
    const double state_shards = options.zero_stage > 0 ? ranks : 1;
    const double gradient_shards = options.zero_stage > 1 ? ranks : 1;
    const auto rows = static_cast<double>(micro_batch_tokens);
    const auto layers = static_cast<double>(config.num_hidden_layers);
    const auto hidden = static_cast<double>(config.hidden_size);

    TrainingMemory memory;
    memory.weights = size * (options.lora_rank > 0 ? all + trained : all);
    memory.masters = size == master ? 0 : master * trained / state_shards;
    memory.gradients = master * trained / gradient_shards;
    memory.optimizer = 2 * master * trained / state_shards;
    const double layer = size * rows * kept_by_layer(config);
    memory.activations =
        options.activation_checkpointing ? size * rows * hidden * layers + layer : layer * layers;
    const auto columns =
        static_cast<double>(lm::logit_block_columns(micro_batch_tokens, config.vocab_size));
    memory.workspace =
        master * rows * columns +
        size * rows * (4 * hidden + 3 * static_cast<double>(config.intermediate_size));
    memory.allocator = allocator_share * (memory.activations + memory.workspace);
    const double bucket = static_cast<double>(options.bucket_megabytes) * 1024 * 1024;
    if (ranks > 1)
        memory.buckets = std::min(master * trained, 3 * bucket) * (options.zero_stage > 1 ? 2 : 1);
    return memory;
}

std::int64_t largest_micro_batch(const lm::ModelConfig& config, at::ScalarType dtype,
                                 const TrainOptions& options, int ranks, double program,
                                 double bytes) {
    const auto fits = [&](std::int64_t tokens) {
        return program + training_memory(config, dtype, options, ranks, tokens).total() <= bytes;
    };
    std::int64_t least = 0, most = std::int64_t{1} << 24;
    while (least < most) {
        const std::int64_t middle = (least + most + 1) / 2;
        if (fits(middle))
            least = middle;
        else
            most = middle - 1;
    }
    return least;
}

}  // namespace popalign::preference
