#pragma once

#include "preference/ppo/rollout.hpp"

#include <popalign/base/deadline.hpp>
#include <popalign/base/error.hpp>
#include <popalign/base/fingerprint.hpp>
#include <popalign/base/log.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/lm/transformer/trainable_lm.hpp>
#include <popalign/preference/options/train_options.hpp>
#include <popalign/record/token.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

namespace popalign::preference {

/// Prompts, rewards and settings of a PPO run.
struct PpoRun {
    std::size_t prompts = 0;
    std::function<std::vector<TokenId>(std::size_t)> prompt;
    std::vector<TokenId> stop_tokens;
    /// Fills in `reference_log_probabilities` and `score` of otherwise complete rollouts.
    std::function<void(std::span<Rollout>)> judge;
    const TrainOptions& options;
    std::uint64_t seed = 0;
    std::filesystem::path directory;  ///< gets metrics.jsonl and the checkpoints of both models
    Fingerprint fingerprint;
};

/// Runs PPO in rounds: the ranks answer a batch of prompts with the current policy, all answers are
/// scored, and policy and critic are updated. Answers depend on seed, episode and weights, not on
/// ranks. Continues from the newest checkpoint in the directory; returns as `train_on_pairs`.
/// Collective.
ExitStatus train_with_rewards(const comm::Communicator& comm, lm::TrainableLm& policy,
                              lm::TrainableLm& critic, const PpoRun& run, const Deadline& deadline,
                              const Logger& logger);

/// Measurements of one round whose results are discarded.
struct RoundSample {
    std::int64_t rounds = 0, updates = 0;              ///< per model in a whole run
    std::size_t answers = 0;                           ///< in this round
    double answer_tokens = 0;                          ///< mean per answer
    double generation = 0, scoring = 0, learning = 0;  ///< mean over ranks [s]
};

/// Measures the first round at a learning rate of 0 and writes nothing. Collective.
RoundSample sample_round(const comm::Communicator& comm, lm::TrainableLm& policy,
                         lm::TrainableLm& critic, const PpoRun& run, const Deadline& deadline,
                         const Logger& logger);

}  // namespace popalign::preference
