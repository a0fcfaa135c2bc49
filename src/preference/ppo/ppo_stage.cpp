#include "preference/ppo/ppo_stage.hpp"

#include "preference/data/prompt_data.hpp"
#include "preference/model/finished_model.hpp"
#include "preference/model/model_setup.hpp"
#include "preference/ppo/ppo_loop.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/memory.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/backends/model_options.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>
#include <popalign/lm/checkpoint/model_identity.hpp>
#include <popalign/lm/engine/scorer.hpp>
#include <popalign/lm/transformer/trainable_lm.hpp>
#include <popalign/record/token.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

namespace popalign::preference {
namespace {

/// What the policy is held to and what scores its answers; neither changes.
class FrozenModels {
  public:
    FrozenModels(const comm::Communicator& comm, const TrainInputs& inputs)
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
        lm::score_endings(reward_model_, sequences, token_budget_,
                          [&](std::size_t i, double score) { rollouts[i].score = score; });
    }

  private:
    lm::CausalLm reference_, reward_model_;
    std::int64_t token_budget_;
};

/// Of the reward model, or of what the critic starts as. Collective.
lm::ModelIdentity identify_scorer(const comm::Communicator& comm, const lm::ModelOptions& options,
                                  const lm::ModelIdentity& policy) {
    const lm::ModelIdentity identity = open_model(comm, options).identity;
    comm::run_on_all(comm, [&] {
        if (!lm::is_reward_model(std::filesystem::path(options.path)))
            throw UsageError(fmt::format(
                "{} has no head for scores; make a reward model by `train` with train.objective: "
                "reward",
                options.path));
        require_same_tokenizer(policy, identity);
    });
    return identity;
}

/// What a run is made of, without weights.
struct PpoCards {
    ModelCard policy;
    PromptData prompts;
    Fingerprint fingerprint;
};

const lm::ModelOptions& critic_start(const TrainInputs& inputs) {
    return inputs.critic.path.empty() ? inputs.reward_model : inputs.critic;
}

/// Collective.
PpoCards open_cards(const comm::Communicator& comm, const TrainInputs& inputs) {
    comm::run_on_all(comm, [&] { inputs.options.validate(); });
    ModelCard card = open_model(comm, inputs.model);
    Fingerprint fingerprint = options_fingerprint(inputs, card.identity);
    fingerprint["reward_model.sha256"] =
        identify_scorer(comm, inputs.reward_model, card.identity).sha256;
    fingerprint["critic.sha256"] =
        identify_scorer(comm, critic_start(inputs), card.identity).sha256;
    if (!inputs.reference.path.empty()) {
        const lm::ModelIdentity reference = open_model(comm, inputs.reference).identity;
        comm::run_on_all(comm, [&] { require_same_tokenizer(card.identity, reference); });
        fingerprint["reference.sha256"] = reference.sha256;
    }
    PromptData prompts = open_prompt_data(comm, inputs.pair_file, card.front_end,
                                          {.exclude_flags = {},
                                           .strategies = {},
                                           .limit_instructions = inputs.options.limit_instructions},
                                          inputs.options.max_prompt_length);
    fingerprint["prompts.sha256"] = prompts.digest;
    return {std::move(card), std::move(prompts), std::move(fingerprint)};
}

struct PpoModels {
    /// Collective.
    PpoModels(const comm::Communicator& comm, const TrainInputs& inputs)
        : policy(load_weights(comm, inputs.model, inputs.device)),
          critic(load_reward_weights(comm, critic_start(inputs), inputs.device)),
          frozen(comm, inputs) {
        const TrainOptions& options = inputs.options;
        if (options.lora_rank > 0)
            policy.add_adapters(
                {options.lora_rank, options.lora_alpha, options.lora_targets, inputs.seed});
    }

    lm::TrainableLm policy, critic;
    FrozenModels frozen;
};

PpoRun run_of(const PpoCards& cards, const PpoModels& models, const TrainInputs& inputs) {
    return {cards.prompts.size(),
            cards.prompts.prompt,
            cards.policy.front_end.stop_tokens,
            [&](std::span<Rollout> rollouts) { models.frozen.judge(rollouts); },
            inputs.options,
            inputs.seed,
            inputs.directory / "train",
            cards.fingerprint};
}

}  // namespace

ExitStatus run_ppo(const comm::Communicator& comm, const TrainInputs& inputs,
                   const Deadline& deadline, const Logger& logger) {
    const PpoCards cards = open_cards(comm, inputs);
    if (is_finished(comm, inputs, cards.fingerprint, logger))
        return ExitStatus::done;
    PpoModels models(comm, inputs);
    const PpoRun run = run_of(cards, models, inputs);
    const ExitStatus status =
        train_with_rewards(comm, models.policy, models.critic, run, deadline, logger);
    models.policy.merge_adapters();
    if (status == ExitStatus::done)
        save_trained_model(comm, inputs, models.policy, cards.policy.front_end, cards.fingerprint);
    return status;
}

std::string plan_ppo(const comm::Communicator& comm, const TrainInputs& inputs,
                     const Logger& logger) {
    comm::run_on_all(comm, [&] {
        if (inputs.options.machine.nodes > 0)
            throw UsageError(
                "train --plan of ppo measures a round where it runs: leave train.machine.nodes at "
                "0 and start it as the run would be");
    });
    const PpoCards cards = open_cards(comm, inputs);
    const int local = comm.split_node().size();
    const double available =
        static_cast<double>(available_memory()) / local + static_cast<double>(peak_memory());
    PpoModels models(comm, inputs);
    logger.info("measuring a round; nothing of it is kept");
    const Deadline deadline({});
    const RoundSample round = sample_round(comm, models.policy, models.critic,
                                           run_of(cards, models, inputs), deadline, logger);
    const std::int64_t answers = std::ssize(cards.prompts.rows) * inputs.options.epochs;
    const double rounds = static_cast<double>(answers) / static_cast<double>(round.answers);
    const double seconds = round.generation + round.scoring + round.learning;
    const nlohmann::ordered_json json{
        {"machine", "this one, measured"},
        {"ranks", comm.size()},
        {"nodes", std::max(1, comm.size() / local)},
        {"instructions", cards.prompts.size()},
        {"rounds", round.rounds},
        {"answers", answers},
        {"updates", round.updates},
        {"answer_tokens", round.answer_tokens},
        {"memory_bytes",
         {{"total",
           comm::all_reduce(comm, static_cast<double>(peak_memory()), comm::Reduction::maximum)}}},
        {"memory_available_bytes", available},
        {"seconds",
         {{"generation", rounds * round.generation},
          {"scoring", rounds * round.scoring},
          {"learning", rounds * round.learning},
          {"total", rounds * seconds}}},
        {"answers_per_second", static_cast<double>(round.answers) / seconds}};
    return json.dump(2);
}

}  // namespace popalign::preference
