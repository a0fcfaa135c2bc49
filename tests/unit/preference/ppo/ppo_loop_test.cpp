#include "preference/ppo/ppo_loop.hpp"

#include "support/temporary_directory.hpp"
#include "support/world.hpp"
#include "unit/preference/tiny_pairs.hpp"

#include <popalign/comm/collectives.hpp>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <fstream>

namespace popalign::preference {
namespace {

using test::world;

constexpr TokenId wanted = 7, stop = 60;
constexpr std::int64_t answer_tokens = 8;

std::vector<nlohmann::json> metrics_in(const std::filesystem::path& directory) {
    std::ifstream file(directory / "metrics.jsonl");
    std::vector<nlohmann::json> lines;
    for (std::string line; std::getline(file, line);)
        lines.push_back(nlohmann::json::parse(line));
    return lines;
}

struct Outcome {
    ExitStatus status;
    at::Tensor parameters;
};

/// A policy of 97 tokens that is paid for one of them: at most 1, if it says nothing else.
class PpoLoopTest : public ::testing::Test {
  protected:
    PpoLoopTest() {
        at::set_num_threads(1);
        options_.objective = "ppo";
        options_.learning_rate = 8e-3;
        options_.warmup_ratio = 0;
        options_.global_batch_size = 16;
        options_.epochs = 30;
        options_.checkpoint_steps = 7;
        options_.ppo.reward_model = "counts tokens";
        options_.ppo.rollout_batch_size = 32;
        options_.ppo.max_new_tokens = answer_tokens;
        options_.ppo.epochs = 2;
        options_.ppo.kl_coefficient = 0;
    }

    Outcome train(const comm::Communicator& comm, const std::filesystem::path& directory,
                  const std::function<void(std::uint64_t episode)>& disturb = {},
                  const std::function<void()>& asked = {}) {
        lm::TrainableLm policy = test::make_tiny_model("llama", 7, at::kFloat);
        lm::TrainableLm critic = test::tiny_critic(at::kFloat);
        const PairData data = test::random_pairs(64);
        const PpoRun run{64,
                         [&](std::size_t item) {
                             if (asked)
                                 asked();
                             return data.example(item).prompt;
                         },
                         {stop},
                         [&](std::span<Rollout> rollouts) {
                             for (Rollout& rollout : rollouts) {
                                 if (disturb)
                                     disturb(rollout.episode);
                                 rollout.reference_log_probabilities = rollout.log_probabilities;
                                 rollout.score = static_cast<double>(std::ranges::count(
                                                     rollout.completion, wanted)) /
                                                 answer_tokens;
                             }
                         },
                         options_,
                         3,
                         directory,
                         {{"objective", "ppo"}}};
        const Deadline deadline({});
        const ExitStatus status = train_with_rewards(comm, policy, critic, run, deadline, Logger());
        std::vector<at::Tensor> flat;
        for (const lm::TrainableLm* model : {&policy, &critic})
            for (const lm::NamedParameter& parameter : model->parameters())
                flat.push_back(parameter.tensor.reshape(-1));
        return {status, at::cat(flat)};
    }

    TrainOptions options_;
    test::TemporaryDirectory directory_;
};

TEST_F(PpoLoopTest, ReachesTheKnownOptimumOnAnyNumberOfRanks) {
    ASSERT_EQ(train(world(), directory_ / "run").status, ExitStatus::done);
    if (!world().is_root())
        return;
    const auto lines = metrics_in(directory_ / "run");
    ASSERT_EQ(lines.size(), 60u);
    EXPECT_LT(lines.front()["objective/scores"].get<double>(), 0.1);
    EXPECT_GT(lines.back()["objective/scores"].get<double>(), 0.95);
    for (const char* name :
         {"objective/kl", "objective/entropy", "objective/non_score_reward",
          "objective/rlhf_reward", "policy/approxkl_avg", "policy/clipfrac_avg",
          "policy/entropy_avg", "loss/policy_avg", "loss/value_avg", "val/clipfrac_avg",
          "val/ratio", "val/ratio_var", "val/num_eos_tokens", "lr", "episode", "timing/generation",
          "timing/scoring", "timing/learning"})
        EXPECT_TRUE(lines.front().contains(name)) << name;
    EXPECT_EQ(lines.back()["episode"], 64 * 30);
}

TEST_F(PpoLoopTest, TheCurveIsThatOfOneRank) {
    options_.epochs = 5;
    train(world(), directory_ / "together");
    if (!world().is_root())
        return;
    train(comm::Communicator(), directory_ / "alone");
    const auto together = metrics_in(directory_ / "together"),
               alone = metrics_in(directory_ / "alone");
    ASSERT_EQ(together.size(), 10u);
    for (std::size_t i = 0; i < 10; ++i)
        EXPECT_NEAR(together[i]["objective/scores"].get<double>(),
                    alone[i]["objective/scores"].get<double>(), 0.02)
            << "round " << i + 1;
}

TEST_F(PpoLoopTest, StoppedAndContinuedEqualsUninterrupted) {
    options_.epochs = 4;
    options_.ppo.kl_target = 0.1;
    options_.ppo.kl_coefficient = 0.1;
    const Outcome whole = train(world(), directory_ / "whole");
    const auto stopped = train(world(), directory_ / "parts", [](std::uint64_t episode) {
        if (episode == 100)
            std::raise(SIGUSR1);
    });
    EXPECT_EQ(stopped.status, ExitStatus::requeue);
    comm::barrier(world());
    const Outcome continued = train(world(), directory_ / "parts");
    EXPECT_EQ(continued.status, ExitStatus::done);
    EXPECT_TRUE(at::equal(continued.parameters, whole.parameters));
    if (!world().is_root())
        return;
    auto expected = metrics_in(directory_ / "whole"), found = metrics_in(directory_ / "parts");
    ASSERT_EQ(expected.size(), 8u);
    ASSERT_EQ(found.size(), 8u);
    for (std::size_t i = 0; i < 8; ++i)
        for (auto* line : {&expected[i], &found[i]})
            for (const char* timing : {"timing/generation", "timing/scoring", "timing/learning"})
                line->erase(timing);
    EXPECT_EQ(found, expected);
}

TEST_F(PpoLoopTest, ASignalWhileAnsweringGivesUpThisRoundAlone) {
    options_.epochs = 2;
    const Outcome whole = train(world(), directory_ / "whole");
    for (const int round : {0, 2}) {
        const auto run = directory_ / std::to_string(round);
        int prompts = 0;
        const auto stopped = train(world(), run, {}, [&] {
            if (prompts++ == round * 32 / world().size())
                std::raise(SIGUSR1);
        });
        EXPECT_EQ(stopped.status, ExitStatus::requeue);
        comm::barrier(world());
        if (world().is_root()) {
            EXPECT_EQ(metrics_in(run).size(), static_cast<std::size_t>(round));
        }
        const Outcome continued = train(world(), run);
        EXPECT_EQ(continued.status, ExitStatus::done);
        EXPECT_TRUE(at::equal(continued.parameters, whole.parameters));
    }
}

TEST_F(PpoLoopTest, AKillLosesOnlyTheRoundsSinceTheCheckpoint) {
    options_.epochs = 4;
    options_.checkpoint_steps = 3;
    const Outcome whole = train(world(), directory_ / "whole");
    EXPECT_THROW(train(world(), directory_ / "parts",
                       [](std::uint64_t episode) {
                           if (episode == 150)
                               throw Error("the node died");
                       }),
                 Error);
    const Outcome continued = train(world(), directory_ / "parts");
    EXPECT_TRUE(at::equal(continued.parameters, whole.parameters));
}

TEST_F(PpoLoopTest, AScoreThatIsNoNumberStopsTheRun) {
    options_.epochs = 1;
    lm::TrainableLm policy = test::make_tiny_model("llama", 7, at::kFloat);
    lm::TrainableLm critic = test::tiny_critic(at::kFloat);
    const PpoRun run{8,
                     [](std::size_t) {
                         return std::vector<TokenId>{1, 2};
                     },
                     {stop},
                     [](std::span<Rollout> rollouts) {
                         for (Rollout& rollout : rollouts) {
                             rollout.reference_log_probabilities = rollout.log_probabilities;
                             rollout.score = rollout.episode == 5 ? std::nan("") : 0.0;
                         }
                     },
                     options_,
                     3,
                     directory_ / "run",
                     {}};
    const Deadline deadline({});
    try {
        train_with_rewards(world(), policy, critic, run, deadline, Logger());
        FAIL();
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("episode 5"), std::string::npos);
    }
}

}  // namespace
}  // namespace popalign::preference
