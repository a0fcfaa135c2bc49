#include "preference/ppo_stage.hpp"

#include "preference/finished_model.hpp"
#include "preference/model_setup.hpp"

#include <popalign/base/error.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/reward_model.hpp>
#include <popalign/lm/scorer.hpp>
#include <popalign/preference/ppo_loop.hpp>
#include <popalign/preference/prompt_data.hpp>

#include <fmt/format.h>

namespace popalign {
namespace {

/// What the policy is held to and what scores its answers; neither changes.
class FrozenModels {
  public:
    FrozenModels(const Communicator& comm, const TrainInputs& inputs)
        : reference_(load_weights(comm,
                                  inputs.reference.path.empty() ? inputs.model : inputs.reference,
                                  inputs.device)),
          reward_model_(load_reward_weights(comm, inputs.reward_model, inputs.device)),
          token_budget_(inputs.options.micro_batch_tokens) {}

    void judge(std::span<Rollout> rollouts) const {
        fill_in(rollouts, &Rollout::reference_log_probabilities, token_budget_,
                [&](const PackedRollouts& packed) {
                    return token_log_probabilities(reference_, packed);
                });
        std::vector<std::vector<TokenId>> sequences;
        for (const Rollout& rollout : rollouts) {
            sequences.push_back(rollout.prompt);
            sequences.back().insert(sequences.back().end(), rollout.completion.begin(),
                                    rollout.completion.end());
        }
        score_endings(reward_model_, sequences, token_budget_,
                      [&](std::size_t i, double score) { rollouts[i].score = score; });
    }

  private:
    CausalLm reference_, reward_model_;
    std::int64_t token_budget_;
};

/// Of the reward model, or of what the critic starts as. Collective.
ModelIdentity identify_scorer(const Communicator& comm, const ModelOptions& options,
                              const ModelIdentity& policy) {
    const ModelIdentity identity = open_model(comm, options).identity;
    run_on_all(comm, [&] {
        if (!is_reward_model(std::filesystem::path(options.path)))
            throw UsageError(fmt::format(
                "{} has no head for scores; make a reward model by `train` with train.objective: "
                "reward",
                options.path));
        require_same_tokenizer(policy, identity);
    });
    return identity;
}

}  // namespace

ExitStatus run_ppo(const Communicator& comm, const TrainInputs& inputs, const Deadline& deadline,
                   const Logger& logger) {
    run_on_all(comm, [&] { inputs.options.validate(); });
    const ModelCard card = open_model(comm, inputs.model);
    const ModelOptions& critic_start =
        inputs.critic.path.empty() ? inputs.reward_model : inputs.critic;
    Fingerprint fingerprint = options_fingerprint(inputs, card.identity);
    fingerprint["reward_model.sha256"] =
        identify_scorer(comm, inputs.reward_model, card.identity).sha256;
    fingerprint["critic.sha256"] = identify_scorer(comm, critic_start, card.identity).sha256;
    if (!inputs.reference.path.empty()) {
        const ModelIdentity reference = open_model(comm, inputs.reference).identity;
        run_on_all(comm, [&] { require_same_tokenizer(card.identity, reference); });
        fingerprint["reference.sha256"] = reference.sha256;
    }
    const PromptData prompts =
        open_prompt_data(comm, inputs.pair_file, card.front_end,
                         {.exclude_flags = {},
                          .strategies = {},
                          .limit_instructions = inputs.options.limit_instructions},
                         inputs.options.max_prompt_length);
    fingerprint["prompts.sha256"] = prompts.digest;
    if (is_finished(comm, inputs, fingerprint, logger))
        return ExitStatus::done;

    CausalLm policy = load_weights(comm, inputs.model, inputs.device);
    CausalLm critic = load_reward_weights(comm, critic_start, inputs.device);
    const FrozenModels frozen(comm, inputs);
    if (inputs.options.lora_rank > 0)
        policy.add_adapters({inputs.options.lora_rank, inputs.options.lora_alpha,
                             inputs.options.lora_targets, inputs.seed});
    const PpoRun run{prompts.size(),
                     prompts.prompt,
                     card.front_end.stop_tokens,
                     [&](std::span<Rollout> rollouts) { frozen.judge(rollouts); },
                     inputs.options,
                     inputs.seed,
                     inputs.directory / "train",
                     fingerprint};
    const ExitStatus status = train_with_rewards(comm, policy, critic, run, deadline, logger);
    policy.merge_adapters();
    if (status == ExitStatus::done)
        save_trained_model(comm, inputs, policy, card.front_end, fingerprint);
    return status;
}

}  // namespace popalign
