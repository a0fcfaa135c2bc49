#pragma once

#include <cstdint>
#include <string>

namespace popalign::preference {

/// Proximal policy optimisation (Schulman et al. 2017): `train.ppo`. Steps, rates and memory are
/// `train`'s own keys; `global_batch_size` is the answers of an update.
struct PpoOptions {
    std::string reward_model;
    std::string critic;
    std::int64_t rollout_batch_size = 128;
    std::int64_t max_new_tokens = 256;
    std::int64_t generation_batch_size = 64;
    std::int64_t epochs = 4;
    double clip_range = 0.2, value_clip_range = 0.2;
    double gamma = 1.0, lambda = 0.95;
    double kl_coefficient = 0.05;
    double kl_target = 0.0, kl_horizon = 10000;
    bool whiten_rewards = false;
    double reward_clip = 0.0;
    double missing_end_penalty = 0.0;
    double critic_learning_rate = 0.0;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("reward_model", reward_model,
                "entry of `models`: what `train` made with the objective reward");
        v.field("critic", critic,
                "entry of `models` that the critic starts as; empty: the reward model");
        v.field("rollout_batch_size", rollout_batch_size,
                "instructions that are answered between two rounds of learning");
        v.field("max_new_tokens", max_new_tokens, "longest answer");
        v.field("generation_batch_size", generation_batch_size, "sequences decoded together");
        v.field("epochs", epochs, "passes over the answers before new ones are drawn");
        v.field("clip_range", clip_range, "the ratio to the old policy is held within 1 -+ this");
        v.field("value_clip_range", value_clip_range,
                "values are held within this of the critic's earlier ones");
        v.field("gamma", gamma, "discount a token");
        v.field("lambda", lambda, "of the generalised advantage estimation");
        v.field("kl_coefficient", kl_coefficient,
                "reward that a nat of divergence from the reference costs");
        v.field("kl_target", kl_target,
                "divergence of an answer [nat] that the coefficient is adapted to; 0: it is fixed");
        v.field("kl_horizon", kl_horizon, "answers in which the coefficient adapts");
        v.field("whiten_rewards", whiten_rewards, "scale the tokens' rewards to variance 1");
        v.field("reward_clip", reward_clip, "scores are held within -+ this; 0: they are not");
        v.field("missing_end_penalty", missing_end_penalty,
                "taken from the score of an answer that was cut at max_new_tokens");
        v.field("critic_learning_rate", critic_learning_rate,
                "peak rate of the critic; 0: train.learning_rate");
    }
    /// Throws UsageError naming the key. `global_batch_size` is train's.
    void validate(std::int64_t global_batch_size) const;
};

}  // namespace popalign::preference
