#include "preference/pairs/pair_trainer.hpp"

#include "preference/data/packed_pairs.hpp"
#include "preference/data/pair_transforms.hpp"
#include "support/world.hpp"
#include "unit/preference/tiny_pairs.hpp"

#include <popalign/comm/run.hpp>
#include <popalign/lm/transformer/attention.hpp>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

namespace popalign::preference {
namespace {

using test::world;

/// The global gradient as `comm` computes it together, with a policy away from its reference.
at::Tensor gradient_on(const comm::Communicator& comm, at::ScalarType dtype, std::int64_t budget,
                       const std::string& architecture = "llama",
                       const std::string& objective = "dpo") {
    lm::TrainableLm model = test::make_tiny_model(architecture, 7, dtype);
    PairData data = test::random_pairs(13);
    const PairData others = mismatched(data);
    if (objective == "sft")
        data = chosen_only(data);
    const auto reference = test::own_reference(model, data);
    auto other_reference = test::own_reference(model, others);
    for (double& value : other_reference.chosen)
        value -= 5;  // so that the divergence is above 0
    test::perturb(model, 0.1);
    PairTrainer trainer(comm, model,
                        {.objective = Objective({.objective = objective, .beta = 0.5}),
                         .strategy_weights = {1.0, 0.5},
                         .micro_batch_tokens = budget},
                        2);
    const StepReport report =
        trainer.compute_gradients(test::share_of(comm, data, reference, &others, &other_reference));
    EXPECT_EQ(report.divergence > 0, objective == "kto");
    return trainer.update().parameters().whole_gradient();
}

double relative_difference(const at::Tensor& a, const at::Tensor& b) {
    return ((a - b).norm() / b.norm()).item<double>();
}

class PairTrainerTest : public ::testing::Test {
  protected:
    void SetUp() override { at::set_num_threads(1); }
};

TEST_F(PairTrainerTest, FirstLossIsLn2WhereThePolicyIsItsReference) {
    for (const std::string architecture : {"llama", "qwen2"}) {
        lm::TrainableLm model = test::make_tiny_model(architecture, 7, at::kFloat);
        const PairData data = test::random_pairs(12);
        const auto reference = test::own_reference(model, data);
        PairTrainer trainer(world(), model, {}, 2);
        const auto report = trainer.step(test::share_of(world(), data, reference), 1e-3);
        EXPECT_NEAR(report.statistics.mean_loss(), std::numbers::ln2, 1e-6);
        EXPECT_EQ(report.statistics.pairs(), 12);
        EXPECT_GT(report.grad_norm, 0);
    }
}

TEST_F(PairTrainerTest, GradientEqualsFiniteDifferences) {
    lm::TrainableLm model = test::make_tiny_model("qwen2", 7, at::kDouble);
    const PairData data = test::random_pairs(5);
    const auto reference = test::own_reference(model, data);
    test::perturb(model, 0.05);
    const BatchShare share = test::share_of(comm::Communicator(), data, reference);
    PairTrainer trainer(comm::Communicator(), model, {.objective = Objective({.beta = 0.5})}, 2);
    const auto loss = [&] { return trainer.compute_gradients(share).statistics.mean_loss(); };
    loss();
    const at::Tensor gradient = trainer.update().parameters().whole_gradient();

    constexpr double step = 1e-5;
    std::int64_t offset = 0;
    for (const lm::NamedParameter& parameter : model.parameters()) {
        const std::int64_t at = parameter.tensor.numel() / 3;
        double* value = parameter.tensor.data_ptr<double>() + at;
        const double kept = *value;
        *value = kept + step;
        const double above = loss();
        *value = kept - step;
        const double below = loss();
        *value = kept;
        EXPECT_NEAR(gradient[offset + at].item<double>(), (above - below) / (2 * step), 1e-8)
            << parameter.name;
        offset += parameter.tensor.numel();
    }
}

TEST_F(PairTrainerTest, GradientDoesNotDependOnRanks) {
    EXPECT_LE(relative_difference(gradient_on(world(), at::kDouble, 128),
                                  gradient_on(comm::Communicator(), at::kDouble, 128)),
              1e-10);
    EXPECT_LE(relative_difference(gradient_on(world(), at::kFloat, 128),
                                  gradient_on(comm::Communicator(), at::kFloat, 128)),
              1e-4);
}

TEST_F(PairTrainerTest, NoObjectiveDependsOnRanksOrMicroBatches) {
    for (const char* objective : {"sft", "simpo", "ipo", "kto", "aot", "aot_unpaired"})
        EXPECT_LE(relative_difference(
                      gradient_on(world(), at::kDouble, 40, "llama", objective),
                      gradient_on(comm::Communicator(), at::kDouble, 1 << 20, "llama", objective)),
                  1e-10)
            << objective;
}

TEST_F(PairTrainerTest, ALossOfZeroStopsAllRanksNamingThePair) {
    lm::TrainableLm model = test::make_tiny_model("llama", 7, at::kFloat);
    const PairData data = test::random_pairs(8);
    auto reference = test::own_reference(model, data);
    reference.chosen[5] = -1e6;
    PairTrainer trainer(world(), model, {}, 2);
    try {
        trainer.step(test::share_of(world(), data, reference), 1e-3);
        FAIL() << "a loss of 0 went through";
    } catch (const comm::AgreedError& error) {
        EXPECT_NE(std::string(error.what()).find("pair 50 is 0 at step 1"), std::string::npos)
            << error.what();
    }
}

TEST_F(PairTrainerTest, GradientDoesNotDependOnMicroBatches) {
    const at::Tensor whole = gradient_on(world(), at::kDouble, 1 << 20, "qwen2");
    for (const std::int64_t budget : {1, 40, 100})
        EXPECT_LE(relative_difference(gradient_on(world(), at::kDouble, budget, "qwen2"), whole),
                  1e-12);
}

TEST_F(PairTrainerTest, SharedPromptsEqualSeparateSequences) {
    const lm::TrainableLm model = test::make_tiny_model("llama", 7, at::kDouble);
    const c10::NoGradGuard no_gradients;
    const PairData data = test::random_pairs(6);
    std::vector<PairExample> examples;
    for (const std::size_t item : test::all_items(data))
        examples.push_back(data.example(item));
    examples[1].prompt = examples[0].prompt;  // as two strategies of one instruction
    const PackedPairs packed = pack_pairs(examples);
    EXPECT_EQ(packed.forest.segments.size(), 5u + 12u);
    const at::Tensor together = sequence_log_probabilities(model, packed);

    for (std::size_t i = 0; i < examples.size(); ++i)
        for (const auto* completion : {&examples[i].chosen, &examples[i].rejected}) {
            std::vector<TokenId> sequence = examples[i].prompt;
            sequence.insert(sequence.end(), completion->begin(), completion->end());
            lm::SegmentForest forest;
            forest.add(sequence, std::nullopt);
            lm::ForestAttention attention(forest);
            const at::Tensor logps =
                model.logits(model.hidden_states(at::tensor(forest.tokens, at::kLong), attention))
                    .log_softmax(-1);
            double sum = 0;
            for (std::size_t t = examples[i].prompt.size(); t < sequence.size(); ++t)
                sum += logps[static_cast<std::int64_t>(t) - 1][sequence[t]].item<double>();
            const auto side = completion == &examples[i].chosen ? 0 : 1;
            EXPECT_NEAR(together[static_cast<std::int64_t>(i)][side].item<double>(), sum, 1e-10);
        }
}

TEST_F(PairTrainerTest, ALossThatIsNotFiniteStopsAllRanksNamingThePair) {
    lm::TrainableLm model = test::make_tiny_model("llama", 7, at::kFloat);
    const PairData data = test::random_pairs(8);
    auto reference = test::own_reference(model, data);
    reference.chosen[5] = std::numeric_limits<double>::quiet_NaN();
    PairTrainer trainer(world(), model, {}, 2);
    try {
        trainer.step(test::share_of(world(), data, reference), 1e-3);
        FAIL() << "a NaN went through";
    } catch (const comm::AgreedError& error) {
        EXPECT_NE(std::string(error.what()).find(" 50"), std::string::npos) << error.what();
        EXPECT_NE(std::string(error.what()).find("step 1"), std::string::npos) << error.what();
    }
}

/// Each pair of a strategy of its own, of which one's slope is beyond float32 while all losses are
/// finite.
std::string message_of_an_infinite_gradient(Sharding sharding) {
    lm::TrainableLm model = test::make_tiny_model("llama", 7, at::kFloat);
    const PairData data = test::random_pairs(8, 8);
    const auto reference = test::own_reference(model, data);
    PairTrainerOptions options;
    options.strategy_weights = {1, 1, 1, 1, 1, 1e300, 1, 1};
    options.update.sharding = {sharding, 500};
    options.micro_batch_tokens = 60;
    PairTrainer trainer(world(), model, options, 8);
    trainer.update().optimizer().set_steps(6);
    try {
        trainer.step(test::share_of(world(), data, reference), 1e-3);
    } catch (const comm::AgreedError& error) {
        return error.what();
    }
    return "no error";
}

TEST_F(PairTrainerTest, AGradientThatIsNotFiniteStopsAllRanksNamingThePair) {
    for (const Sharding sharding : {Sharding::none, Sharding::optimizer, Sharding::gradients}) {
        const std::string message = message_of_an_infinite_gradient(sharding);
        EXPECT_NE(message.find("the gradient of pair 50 is not finite at step 7"),
                  std::string::npos)
            << message;
        EXPECT_EQ(message.find("[rank ") != std::string::npos, world().size() > 1) << message;
    }
}

TEST_F(PairTrainerTest, TrainingRaisesTheMargin) {
    lm::TrainableLm model = test::make_tiny_model("llama", 7, at::kFloat);
    const PairData data = test::random_pairs(8);
    const auto reference = test::own_reference(model, data);
    PairTrainer trainer(world(), model, {.objective = Objective({.beta = 0.1})}, 2);
    const BatchShare share = test::share_of(world(), data, reference);
    double loss = 0;
    for (int i = 0; i < 20; ++i)
        loss = trainer.step(share, 1e-3).statistics.mean_loss();
    EXPECT_LT(loss, 0.65);
}

}  // namespace
}  // namespace popalign::preference
