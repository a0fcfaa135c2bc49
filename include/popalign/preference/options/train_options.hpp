#pragma once

#include <popalign/lm/transformer/causal_lm.hpp>
#include <popalign/preference/objective/objective.hpp>
#include <popalign/preference/options/machine_description.hpp>
#include <popalign/preference/options/ppo_options.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace popalign::preference {

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
