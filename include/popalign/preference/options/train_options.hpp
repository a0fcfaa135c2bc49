#pragma once

#include <popalign/base/config.hpp>
#include <popalign/lm/transformer/adapter_options.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace popalign::preference {

/// The training objective and its parameters, part of the section `train` of a config.
struct ObjectiveOptions {
    std::string objective = "dpo";
    std::map<std::string, double> objective_weights = {};
    double beta = 0.01;
    double label_smoothing = 0.0;
    double target_margin = 0.5;
    double discopop_tau = 0.05;
    double desirable_weight = 1.0, undesirable_weight = 1.0;
    std::string f_divergence = "reverse_kl";
    double alpha = 0.5;
    double reward_margin = 0.0;
    double reward_centering = 0.0;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field(
            "objective", objective,
            "loss, by its name in src/preference/README.md: dpo, cdpo, robust, "
            "hinge, ipo, ipo_sum, dpo_norm, simpo, cpo, orpo, kto, apo_zero, apo_down, "
            "exo_pair, nca_pair, bco_pair, sppo_hard, aot, aot_unpaired, discopop, sft, reward or "
            "ppo");
        v.field("objective_weights", objective_weights,
                "weighted sum of losses in place of `objective`, e.g. {dpo: 1, sft: 0.2}");
        v.field("beta", beta,
                "strength of the penalty for leaving the reference; for orpo, weight of the odds "
                "ratio");
        v.field(
            "label_smoothing", label_smoothing,
            "assumed share of wrong labels, below 0.5; for cdpo, robust, exo_pair, cpo, simpo, aot "
            "and aot_unpaired");
        v.field("target_margin", target_margin, "gamma of simpo");
        v.field("discopop_tau", discopop_tau, "temperature of discopop's blend");
        v.field("desirable_weight", desirable_weight, "weight of chosen answers in kto");
        v.field("undesirable_weight", undesirable_weight, "weight of rejected answers in kto");
        v.field("f_divergence", f_divergence,
                "divergence from the reference: reverse_kl, forward_kl, js_divergence or "
                "alpha_divergence; all but reverse_kl only with dpo, cdpo, robust, hinge, ipo, "
                "ipo_sum, dpo_norm, exo_pair and discopop");
        v.field("alpha", alpha, "order of alpha_divergence");
        v.field(
            "reward_margin", reward_margin,
            "least lead of the chosen answer's score over the rejected one's, for a reward model");
        v.field("reward_centering", reward_centering,
                "weight of the squared sum of a pair's scores, a penalty that keeps scores near 0");
    }
};

/// The section `train.ppo`: proximal policy optimisation (Schulman et al. 2017). Keys of `train`
/// set steps, learning rate and memory; `global_batch_size` counts the answers of an update.
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
                "entry of `models` that was trained with the objective reward", Effect::model);
        v.field("critic", critic,
                "entry of `models` that initialises the critic; empty: the reward model",
                Effect::model);
        v.field("rollout_batch_size", rollout_batch_size,
                "instructions answered in each round, before the updates");
        v.field("max_new_tokens", max_new_tokens, "longest answer [token]");
        v.field("generation_batch_size", generation_batch_size,
                "sequences that a rank decodes together", Effect::speed);
        v.field("epochs", epochs, "passes over the answers before new ones are drawn");
        v.field("clip_range", clip_range, "clips the ratio to the old policy to 1 -+ this");
        v.field("value_clip_range", value_clip_range,
                "clips values to within this of the critic's earlier ones");
        v.field("gamma", gamma, "discount factor per token");
        v.field("lambda", lambda, "lambda of the generalised advantage estimation");
        v.field("kl_coefficient", kl_coefficient,
                "penalty on the reward per nat of divergence from the reference");
        v.field(
            "kl_target", kl_target,
            "target divergence of an answer [nat], to which kl_coefficient is adapted; 0: fixed");
        v.field("kl_horizon", kl_horizon, "answers over which kl_coefficient adapts");
        v.field("whiten_rewards", whiten_rewards, "scale the tokens' rewards to variance 1");
        v.field("reward_clip", reward_clip, "clips scores to -+ this; 0: no clipping");
        v.field("missing_end_penalty", missing_end_penalty,
                "subtracted from the score of an answer cut at max_new_tokens");
        v.field("critic_learning_rate", critic_learning_rate,
                "peak learning rate of the critic; 0: train.learning_rate");
    }
    /// Throws UsageError naming the key. `global_batch_size` is train's.
    void validate(std::int64_t global_batch_size) const;
};

/// The section `train.machine`: another machine for `train --plan`.
struct MachineDescription {
    std::int64_t nodes = 0;
    std::int64_t ranks_per_node = 1;
    double teraflops = 0;
    double efficiency = 0.4;
    double memory_gigabytes = 0;
    double memory_gigabytes_per_second = 0;
    double node_gigabytes_per_second = 0;
    double network_gigabytes_per_second = 0;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("nodes", nodes, "number of nodes; 0: measure this machine instead");
        v.field("ranks_per_node", ranks_per_node, "ranks of a node, each with a GPU");
        v.field(
            "teraflops", teraflops,
            "peak of one rank in the type of the computation [TFLOP/s]; if given, training logs "
            "perf/mfu");
        v.field("efficiency", efficiency, "share of the peak that training reaches");
        v.field("memory_gigabytes", memory_gigabytes, "memory of one rank [GB]");
        v.field("memory_gigabytes_per_second", memory_gigabytes_per_second,
                "memory bandwidth of one rank [GB/s]");
        v.field("node_gigabytes_per_second", node_gigabytes_per_second,
                "bandwidth between two ranks of a node, one way [GB/s]");
        v.field("network_gigabytes_per_second", network_gigabytes_per_second,
                "bandwidth between two nodes, one way, of all their ranks together [GB/s]");
    }
    /// Throws UsageError naming the key.
    void validate() const;
};

/// The section `train` of a config. Defaults are the paper's where it gives a value.
struct TrainOptions : ObjectiveOptions {
    std::string model = "student";
    std::string reference;  ///< empty: `model`
    double learning_rate = 5e-7;
    std::int64_t epochs = 1;
    bool shuffle = true;
    std::int64_t global_batch_size = 32;
    std::int64_t micro_batch_tokens = 2048;
    std::int64_t reference_micro_batch_tokens = 0;
    std::string batching = "shuffled";
    bool activation_checkpointing = false;
    std::int64_t zero_stage = 0;
    std::int64_t bucket_megabytes = 32;
    std::int64_t lora_rank = 0;
    double lora_alpha = 16;
    std::vector<std::string> lora_targets = lm::AdapterOptions{}.targets;
    std::int64_t max_length = 2048;
    std::int64_t max_prompt_length = 1024;
    double warmup_ratio = 0.1;
    double max_grad_norm = 1.0;
    double weight_decay = 0.0;
    std::vector<std::string> exclude_flags{"identical", "near_duplicate", "empty",  "truncated",
                                           "unparsed",  "refusal",        "overlap"};
    std::vector<std::string> strategies;
    std::map<std::string, double> strategy_weights;
    std::map<std::string, double> proportions;
    std::int64_t limit_instructions = 0;
    std::string labels;
    PpoOptions ppo;
    MachineDescription machine;
    std::int64_t checkpoint_steps = 100;
    std::int64_t keep_checkpoints = 1;
    std::int64_t logging_steps = 1;

    template <class Visitor>
    void visit(Visitor& v) {
        ObjectiveOptions::visit(v);
        v.field("model", model, "entry of `models` to train", Effect::model);
        v.field("reference", reference,
                "entry of `models` used as reference; empty: the model before training",
                Effect::model);
        v.field("learning_rate", learning_rate, "peak learning rate of AdamW");
        v.field("epochs", epochs, "passes over the pairs");
        v.field("shuffle", shuffle,
                "true: a new order of pairs in each epoch; false: the file's order");
        v.field("global_batch_size", global_batch_size,
                "pairs per step, over all ranks; the result does not depend on ranks or memory");
        v.field("micro_batch_tokens", micro_batch_tokens,
                "tokens of one forward pass on one rank: bounds memory, not the result",
                Effect::speed);
        v.field("reference_micro_batch_tokens", reference_micro_batch_tokens,
                "tokens of one forward pass of the reference; 0: micro_batch_tokens",
                Effect::speed);
        v.field("batching", batching,
                "shuffled, or by_instruction: pairs of an instruction follow one another, so that "
                "their prompt and equal answers are computed once");
        v.field("activation_checkpointing", activation_checkpointing,
                "keep only each layer's input and recompute the rest: less memory, a third more "
                "work",
                Effect::speed);
        v.field("zero_stage", zero_stage,
                "ZeRO stage: ranks divide 0 nothing, 1 the optimizer's state, 2 also the "
                "gradients",
                Effect::speed);
        v.field("bucket_megabytes", bucket_megabytes,
                "size of the buckets of gradients summed over ranks during the backward pass",
                Effect::speed);
        v.field("lora_rank", lora_rank,
                "rank of LoRA adapters that are trained instead of the weights; 0: no adapters");
        v.field("lora_alpha", lora_alpha, "adapters are scaled by alpha / rank");
        v.field("lora_targets", lora_targets, "projections that get adapters");
        v.field("max_length", max_length,
                "most tokens of prompt and answer; longer answers lose their end");
        v.field("max_prompt_length", max_prompt_length,
                "most tokens of the prompt; longer prompts lose their beginning");
        v.field(
            "warmup_ratio", warmup_ratio,
            "share of the steps in which the learning rate rises; then it falls to 0 as a cosine");
        v.field("max_grad_norm", max_grad_norm, "gradients are scaled down to this global norm");
        v.field("weight_decay", weight_decay, "decoupled weight decay, on all parameters");
        v.field("exclude_flags", exclude_flags, "pairs with any of these flags are left out");
        v.field("strategies", strategies, "strategies whose pairs are used; empty: all");
        v.field("strategy_weights", strategy_weights,
                "factors on the loss of a strategy's pairs, e.g. {refine: 0.5}; default 1");
        v.field(
            "proportions", proportions,
            "shares of strategies at one pair per instruction, e.g. {prefix: 0.5, refine: 0.5}; "
            "empty: a pair of each strategy");
        v.field(
            "limit_instructions", limit_instructions,
            "use only the pairs of so many first training instructions; 0: all. A smaller set is "
            "part of a larger one");
        v.field(
            "labels", labels,
            "name of a judge in the pair file whose verdicts decide which answer is chosen; ties "
            "are left out; empty: the strategies decide");
        v.field("ppo", ppo, "further settings of the objective ppo");
        v.field("machine", machine, "machine that `train --plan` plans for", Effect::speed);
        v.field("checkpoint_steps", checkpoint_steps, "steps between checkpoints", Effect::speed);
        v.field("keep_checkpoints", keep_checkpoints, "number of newest checkpoints to keep",
                Effect::speed);
        v.field("logging_steps", logging_steps, "steps per line of metrics.jsonl", Effect::speed);
    }
    /// Throws UsageError naming the key.
    void validate() const;
};

}  // namespace popalign::preference
