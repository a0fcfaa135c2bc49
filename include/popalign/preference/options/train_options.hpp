#pragma once

#include <popalign/lm/transformer/adapter_options.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace popalign::preference {

/// What is optimised, and the numbers that its formulas take: part of the section `train`.
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
            "what is optimised, by its name in src/preference/README.md: dpo, cdpo, robust, "
            "hinge, ipo, ipo_sum, dpo_norm, simpo, cpo, orpo, kto, apo_zero, apo_down, "
            "exo_pair, nca_pair, bco_pair, sppo_hard, aot, aot_unpaired, discopop, sft, reward or "
            "ppo");
        v.field("objective_weights", objective_weights,
                "a weighted sum instead of `objective` alone, as {dpo: 1, sft: 0.2}");
        v.field("beta", beta,
                "strength of the tie to the reference; the weight of orpo's odds ratio");
        v.field("label_smoothing", label_smoothing,
                "share of labels taken for wrong, below 0.5: of cdpo, robust, exo_pair, cpo, "
                "simpo, aot and aot_unpaired");
        v.field("target_margin", target_margin, "gamma of simpo");
        v.field("discopop_tau", discopop_tau, "temperature of discopop's blend");
        v.field("desirable_weight", desirable_weight, "of kto's chosen answers");
        v.field("undesirable_weight", undesirable_weight, "of kto's rejected answers");
        v.field("f_divergence", f_divergence,
                "what holds the policy to its reference: reverse_kl, forward_kl, js_divergence or "
                "alpha_divergence; others than the first with dpo, cdpo, robust, hinge, ipo, "
                "ipo_sum, dpo_norm, exo_pair and discopop");
        v.field("alpha", alpha, "order of alpha_divergence");
        v.field("reward_margin", reward_margin,
                "by how much a reward model's score of the chosen answer has to exceed the other");
        v.field("reward_centering", reward_centering,
                "weight of the squared sum of a pair's scores, which keeps them around 0");
    }
};

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

/// A machine that is not this one, for `train --plan`.
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
        v.field("nodes", nodes, "0: this machine, which is measured");
        v.field("ranks_per_node", ranks_per_node, "a GPU each");
        v.field("teraflops", teraflops,
                "peak of one rank in the type that is computed in; where it is given, training "
                "logs perf/mfu");
        v.field("efficiency", efficiency, "part of the peak that training reaches");
        v.field("memory_gigabytes", memory_gigabytes, "of one rank");
        v.field("memory_gigabytes_per_second", memory_gigabytes_per_second,
                "how fast one rank reads and writes its memory");
        v.field("node_gigabytes_per_second", node_gigabytes_per_second,
                "between two ranks of a node, one way");
        v.field("network_gigabytes_per_second", network_gigabytes_per_second,
                "between two nodes, one way, of all their ranks together");
    }
    /// Throws UsageError naming the key.
    void validate() const;
};

/// The section `train` of a config. Defaults are the paper's where it states them.
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
        v.field("model", model, "entry of `models` that is trained");
        v.field("reference", reference,
                "entry of `models` that the policy is held to; empty: the model as it starts");
        v.field("learning_rate", learning_rate, "peak rate of AdamW");
        v.field("epochs", epochs, "passes over the pairs");
        v.field("shuffle", shuffle, "each epoch in an order of its own; false: as in the file");
        v.field("global_batch_size", global_batch_size,
                "pairs a step, over all ranks; ranks and memory do not change the result");
        v.field("micro_batch_tokens", micro_batch_tokens,
                "tokens of one forward pass on one rank: bounds memory, not the result");
        v.field("reference_micro_batch_tokens", reference_micro_batch_tokens,
                "the same for the reference, which keeps nothing for gradients; 0: the same");
        v.field("batching", batching,
                "shuffled, or by_instruction: the pairs of an instruction one after the other, "
                "which share the passes over their prompt and their equal answers");
        v.field("activation_checkpointing", activation_checkpointing,
                "keep each layer's input only and compute the rest again: less memory, a third "
                "more work");
        v.field("zero_stage", zero_stage,
                "what ranks divide among themselves: 0 nothing, 1 the optimizer's state, 2 the "
                "gradients too");
        v.field("bucket_megabytes", bucket_megabytes,
                "gradients that are summed over ranks together, while the backward pass goes on");
        v.field("lora_rank", lora_rank,
                "train adapters of this rank instead of the weights; 0: the weights");
        v.field("lora_alpha", lora_alpha, "adapters are scaled by alpha / rank");
        v.field("lora_targets", lora_targets, "projections that get adapters");
        v.field("max_length", max_length,
                "tokens of prompt and answer; answers are cut at the end");
        v.field("max_prompt_length", max_prompt_length,
                "tokens of the prompt; longer ones lose their beginning");
        v.field("warmup_ratio", warmup_ratio,
                "part of the steps with a rising rate; a cosine to zero follows");
        v.field("max_grad_norm", max_grad_norm, "gradients are scaled down to this global norm");
        v.field("weight_decay", weight_decay, "decoupled, on all parameters");
        v.field("exclude_flags", exclude_flags, "pairs with any of these flags are left out");
        v.field("strategies", strategies, "strategies whose pairs are used; empty: all");
        v.field("strategy_weights", strategy_weights,
                "factors on the loss of a strategy's pairs, as {refine: 0.5}; others have 1");
        v.field("proportions", proportions,
                "one pair an instruction, of strategies in these shares, as {prefix: 0.5, refine: "
                "0.5}; empty: a pair of each strategy");
        v.field("limit_instructions", limit_instructions,
                "only pairs of the first so many training instructions; 0: all. Smaller sets are "
                "the beginnings of larger ones");
        v.field("labels", labels,
                "a judge in the pair file that says which answer is chosen, by its name there; "
                "ties are "
                "left out; empty: the strategies say");
        v.field("ppo", ppo, "what the objective ppo takes besides");
        v.field("machine", machine, "what `train --plan` plans for");
        v.field("checkpoint_steps", checkpoint_steps, "steps between checkpoints");
        v.field("keep_checkpoints", keep_checkpoints, "newest checkpoints that stay");
        v.field("logging_steps", logging_steps, "steps that a line of metrics.jsonl sums up");
    }
    /// Throws UsageError naming the key.
    void validate() const;
};

}  // namespace popalign::preference
