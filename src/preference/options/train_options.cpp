#include <popalign/base/error.hpp>
#include <popalign/preference/options/train_options.hpp>
#include <popalign/record/pair_flags.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace popalign::preference {
namespace {

void require(bool holds, std::string_view key, std::string_view rule) {
    if (!holds)
        throw UsageError(fmt::format("train.{}: {}", key, rule));
}

void require_positive(double value, std::string_view key) {
    require(std::isfinite(value) && value > 0, key, "must be a positive number");
}

void require_count(std::int64_t value, std::string_view key) {
    require(value >= 1 && value <= 1'000'000'000, key, "must be between 1 and 1000000000");
}

}  // namespace

void TrainOptions::validate() const {
    if (objective == "ppo") {
        require(objective_weights.empty(), "objective_weights", "ppo stands alone");
        ppo.validate(global_batch_size);
        require(max_prompt_length + ppo.max_new_tokens <= max_length, "ppo.max_new_tokens",
                "prompts and answers must fit in train.max_length");
    }
    flag_mask(exclude_flags);
    for (const auto& [name, weight] : strategy_weights)
        require_positive(weight, "strategy_weights." + name);
    require_positive(learning_rate, "learning_rate");
    require_positive(max_grad_norm, "max_grad_norm");
    require(std::isfinite(weight_decay) && weight_decay >= 0, "weight_decay",
            "must not be negative");
    require(warmup_ratio >= 0 && warmup_ratio <= 1, "warmup_ratio", "must be between 0 and 1");
    require_count(epochs, "epochs");
    require_count(global_batch_size, "global_batch_size");
    require_count(micro_batch_tokens, "micro_batch_tokens");
    require(reference_micro_batch_tokens >= 0 && reference_micro_batch_tokens <= 1'000'000'000,
            "reference_micro_batch_tokens", "must be between 0 and 1000000000");
    require(batching == "shuffled" || batching == "by_instruction", "batching",
            "must be shuffled or by_instruction");
    require(zero_stage >= 0 && zero_stage <= 2, "zero_stage", "must be 0, 1 or 2");
    require(bucket_megabytes >= 1 && bucket_megabytes <= 4096, "bucket_megabytes",
            "must be between 1 and 4096");
    require(lora_rank >= 0 && lora_rank <= 65536, "lora_rank", "must be between 0 and 65536");
    require_positive(lora_alpha, "lora_alpha");
    require(!lora_targets.empty(), "lora_targets", "must name a projection");
    lm::AdapterOptions{lora_rank, lora_alpha, lora_targets}.validate();
    require_count(max_length, "max_length");
    require_count(max_prompt_length, "max_prompt_length");
    require(max_prompt_length < max_length, "max_prompt_length",
            "must be smaller than train.max_length (answers need room)");
    for (const auto& [name, weight] : proportions)
        require(std::isfinite(weight) && weight >= 0, "proportions", "must not be negative");
    require(
        proportions.empty() ||
            std::ranges::any_of(proportions, [](const auto& entry) { return entry.second > 0; }),
        "proportions", "must not all be zero");
    require(limit_instructions >= 0, "limit_instructions", "must not be negative");
    machine.validate();
    require_count(checkpoint_steps, "checkpoint_steps");
    require_count(keep_checkpoints, "keep_checkpoints");
    require_count(logging_steps, "logging_steps");
}

}  // namespace popalign::preference
