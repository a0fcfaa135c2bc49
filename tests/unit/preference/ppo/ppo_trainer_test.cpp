#include "preference/ppo/ppo_trainer.hpp"

#include "support/world.hpp"
#include "unit/preference/tiny_pairs.hpp"

#include <popalign/base/random.hpp>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>

namespace popalign::preference {
namespace {

using test::world;

/// Of random tokens, some prompts more than once, a score each.
std::vector<Rollout> random_rollouts(std::size_t count) {
    const PairData data = test::random_pairs(count);
    std::vector<Rollout> rollouts;
    for (std::size_t i = 0; i < count; ++i) {
        const PairExample example = data.example(i / 3 * 3);
        rollouts.push_back(
            {.episode = i, .prompt = example.prompt, .completion = data.example(i).chosen});
        rollouts.back().score = RandomStream(1, "score", "test").uniform(i);
        rollouts.back().ended = i % 2 == 0;
    }
    return rollouts;
}

class PpoTrainerTest : public ::testing::Test {
  protected:
    PpoTrainerTest()
        : policy_(test::make_tiny_model("llama", 7, at::kDouble)),
          critic_(test::tiny_critic(at::kDouble)),
          rollouts_(random_rollouts(12)) {
        at::set_num_threads(1);
        options_.ppo.epochs = 1;
        options_.global_batch_size = 12;
        options_.update.max_grad_norm = 1e9;
    }

    PpoTrainer trainer(const comm::Communicator& comm) {
        return {comm, policy_, critic_, options_};
    }

    /// As they are when they have just been drawn by a policy that is its own reference.
    void look(const PpoTrainer& trainer) {
        trainer.look_at(rollouts_);
        for (Rollout& rollout : rollouts_)
            rollout.reference_log_probabilities = rollout.log_probabilities;
    }

    lm::TrainableLm policy_, critic_;
    std::vector<Rollout> rollouts_;
    PpoTrainerOptions options_;
};

TEST_F(PpoTrainerTest, AtTheFirstUpdateTheRatioIsOneAndTheDivergenceZero) {
    PpoTrainer trainer = this->trainer(world());
    look(trainer);
    const PpoReport report = trainer.learn(rollouts_, 0, 0.05, 1e-3, 1e-3);
    EXPECT_NEAR(report.ratio, 1, 1e-12);
    EXPECT_NEAR(report.ratio_variance, 0, 1e-12);
    EXPECT_NEAR(report.approximate_kl, 0, 1e-20);
    EXPECT_EQ(report.policy_clipped, 0);
    EXPECT_EQ(report.value_clipped, 0);
    EXPECT_NEAR(report.policy_loss, 0, 1e-12);  // whitened advantages
    EXPECT_GT(report.policy_grad_norm, 0);
    EXPECT_GT(report.entropy, 0);
}

TEST_F(PpoTrainerTest, OneRankAndManyPassesLearnTheSame) {
    options_.ppo.epochs = 3;
    options_.global_batch_size = 5;
    lm::TrainableLm other_policy = test::make_tiny_model("llama", 7, at::kDouble);
    lm::TrainableLm other_critic = test::tiny_critic(at::kDouble);
    PpoTrainer together = this->trainer(world());
    PpoTrainerOptions one_pass = options_;
    one_pass.micro_batch_tokens = 1'000'000;
    options_.micro_batch_tokens = 30;
    one_pass.update.activations = lm::PassOptions::Activations::recompute;
    PpoTrainer alone(comm::Communicator(), other_policy, other_critic, one_pass);
    look(together);
    const PpoReport found = together.learn(rollouts_, 2, 0.05, 1e-2, 1e-2);
    const PpoReport expected = alone.learn(rollouts_, 2, 0.05, 1e-2, 1e-2);
    EXPECT_NEAR(found.policy_loss, expected.policy_loss, 1e-9);
    EXPECT_NEAR(found.value_loss, expected.value_loss, 1e-9);
    EXPECT_NEAR(found.approximate_kl, expected.approximate_kl, 1e-9);
    EXPECT_NEAR(found.entropy, expected.entropy, 1e-9);
    EXPECT_GT(expected.approximate_kl, 1e-6);
    const c10::NoGradGuard no_gradients;
    for (std::size_t i = 0; i < policy_.parameters().size(); ++i)
        EXPECT_TRUE(at::allclose(policy_.parameters()[i].tensor,
                                 other_policy.parameters()[i].tensor, 1e-8, 1e-9));
    for (std::size_t i = 0; i < critic_.parameters().size(); ++i)
        EXPECT_TRUE(at::allclose(critic_.parameters()[i].tensor,
                                 other_critic.parameters()[i].tensor, 1e-8, 1e-9));
}

/// Mean of the token losses at the models as they are.
double mean_loss(const std::vector<Rollout>& old, const std::vector<Rollout>& now,
                 const std::vector<Advantages>& advantages, const PpoOptions& options,
                 bool of_values) {
    double sum = 0, tokens = 0;
    for (std::size_t i = 0; i < old.size(); ++i)
        for (std::size_t t = 0; t < old[i].completion.size(); ++t, ++tokens)
            sum += of_values ? value_loss(now[i].values[t], old[i].values[t],
                                          advantages[i].returns[t], options.value_clip_range)
                                   .loss
                             : policy_loss(now[i].log_probabilities[t], old[i].log_probabilities[t],
                                           advantages[i].advantages[t], options.clip_range)
                                   .loss;
    return sum / tokens;
}

TEST_F(PpoTrainerTest, GradientsAreThoseOfTheLosses) {
    look(this->trainer(comm::Communicator()));
    test::perturb(policy_, 0.02);  // so that some tokens are clipped
    test::perturb(critic_, 0.05);
    const auto advantages = advantages_of(rollouts_, options_.ppo, 0.05);
    for (const bool of_values : {false, true}) {
        lm::TrainableLm& model = of_values ? critic_ : policy_;
        PpoTrainer trainer = this->trainer(comm::Communicator());
        trainer.learn(rollouts_, 0, 0.05, 0, 0);
        auto& parameters = (of_values ? trainer.critic() : trainer.policy()).parameters();
        const at::Tensor gradient = parameters.whole_gradient().to(at::kDouble);
        at::manual_seed(4);
        const at::Tensor direction = at::randn(gradient.sizes(), at::kDouble);
        const auto loss_at = [&](double h) {
            const c10::NoGradGuard no_gradients;
            std::int64_t at = 0;
            const auto move = [&](double by) {
                at = 0;
                for (lm::NamedParameter& parameter : model.parameters()) {
                    const std::int64_t count = parameter.tensor.numel();
                    parameter.tensor.add_(
                        direction.narrow(0, at, count).view(parameter.tensor.sizes()), by);
                    at += count;
                }
            };
            move(h);
            auto now = rollouts_;
            trainer.look_at(now);
            move(-h);
            return mean_loss(rollouts_, now, advantages, options_.ppo, of_values);
        };
        constexpr double h = 1e-6;
        const double expected = (loss_at(h) - loss_at(-h)) / (2 * h);
        EXPECT_NEAR((gradient * direction).sum().item<double>(), expected,
                    1e-5 * std::max(1.0, std::abs(expected)));
    }
}

}  // namespace
}  // namespace popalign::preference
