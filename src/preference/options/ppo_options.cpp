#include <popalign/base/error.hpp>
#include <popalign/preference/options/train_options.hpp>

#include <fmt/format.h>

#include <cmath>
#include <string_view>

namespace popalign::preference {
namespace {

void require(bool holds, std::string_view key, std::string_view rule) {
    if (!holds)
        throw UsageError(fmt::format("train.ppo.{}: {}", key, rule));
}

void require_count(std::int64_t value, std::string_view key) {
    require(value >= 1 && value <= 1'000'000'000, key, "must be between 1 and 1000000000");
}

void require_not_negative(double value, std::string_view key) {
    require(std::isfinite(value) && value >= 0, key, "must not be negative");
}

}  // namespace

void PpoOptions::validate(std::int64_t global_batch_size) const {
    require(!reward_model.empty(), "reward_model",
            "name the entry of `models` that scores answers (made by `train` with the objective "
            "reward)");
    require_count(rollout_batch_size, "rollout_batch_size");
    require(rollout_batch_size % global_batch_size == 0, "rollout_batch_size",
            fmt::format("must be a multiple of train.global_batch_size ({})", global_batch_size));
    require_count(max_new_tokens, "max_new_tokens");
    require_count(generation_batch_size, "generation_batch_size");
    require_count(epochs, "epochs");
    require(clip_range > 0 && clip_range < 1, "clip_range", "must be above 0 and below 1");
    require(std::isfinite(value_clip_range) && value_clip_range > 0, "value_clip_range",
            "must be a positive number");
    require(gamma >= 0 && gamma <= 1, "gamma", "must be between 0 and 1");
    require(lambda >= 0 && lambda <= 1, "lambda", "must be between 0 and 1");
    require_not_negative(kl_coefficient, "kl_coefficient");
    require_not_negative(kl_target, "kl_target");
    require(std::isfinite(kl_horizon) && kl_horizon > 0, "kl_horizon", "must be a positive number");
    require_not_negative(reward_clip, "reward_clip");
    require_not_negative(missing_end_penalty, "missing_end_penalty");
    require_not_negative(critic_learning_rate, "critic_learning_rate");
}

}  // namespace popalign::preference
