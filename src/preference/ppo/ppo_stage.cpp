#include "preference/ppo/ppo_stage.hpp"

#include "preference/data/prompt_data.hpp"
#include "preference/model/finished_model.hpp"
#include "preference/model/model_setup.hpp"
#include "preference/ppo/ppo_loop.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/memory.hpp>
#include <popalign/base/run_directory.hpp>
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

/// Inputs of a run, without weights.
struct PpoCards {
    PolicyCard policy;
    ModelCard reference, reward_model, critic;
    PromptData prompts;
    Fingerprint fingerprint;
};

/// Collective.
PpoCards open_cards(const comm::Communicator& comm, const TrainInputs& inputs) {
    PolicyCard policy = open_policy(comm, inputs.model);
    ModelCard reference = open_reference(comm, inputs.reference, policy);
    ModelCard reward_model = open_scorer(comm, inputs.reward_model, policy);
    ModelCard critic =
        inputs.critic.path.empty() ? reward_model : open_scorer(comm, inputs.critic, policy);
    PromptData prompts = open_prompt_data(comm, inputs.pair_file, policy.front_end,
                                          {.exclude_flags = {},
                                           .strategies = {},
                                           .limit_instructions = inputs.options.limit_instructions},
                                          inputs.options.max_prompt_length);
    Fingerprint fingerprint = options_fingerprint(inputs, policy.identity);
    fingerprint["reward_model.sha256"] = reward_model.identity.sha256;
    fingerprint["critic.sha256"] = critic.identity.sha256;
    if (!inputs.reference.path.empty())
        fingerprint["reference.sha256"] = reference.identity.sha256;
    fingerprint["prompts.sha256"] = prompts.digest;
    return {std::move(policy), std::move(reference), std::move(reward_model),
            std::move(critic), std::move(prompts),   std::move(fingerprint)};
}

/// Reference of the policy and scorer of its answers; neither is trained.
class FrozenModels {
  public:
    /// Collective.
    FrozenModels(const comm::Communicator& comm, const PpoCards& cards, const TrainInputs& inputs)
        : reference_(load_weights(comm, cards.reference, inputs.device)),
          reward_model_(load_reward_weights(comm, cards.reward_model, inputs.device)),
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

struct PpoModels {
    /// Collective.
    PpoModels(const comm::Communicator& comm, const PpoCards& cards, const TrainInputs& inputs)
        : policy(load_weights(comm, cards.policy, inputs.device)),
          critic(load_reward_weights(comm, cards.critic, inputs.device)),
          frozen(comm, cards, inputs) {
        add_adapters(policy, inputs.options, inputs.seed);
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
            RunDirectory(inputs.directory).train().path(),
            cards.fingerprint};
}

}  // namespace

ExitStatus run_ppo(const comm::Communicator& comm, const TrainInputs& inputs,
                   const Deadline& deadline, const Logger& logger) {
    const PpoCards cards = open_cards(comm, inputs);
    if (is_finished(comm, inputs, cards.fingerprint, logger))
        return ExitStatus::done;
    PpoModels models(comm, cards, inputs);
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
    PpoModels models(comm, cards, inputs);
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
