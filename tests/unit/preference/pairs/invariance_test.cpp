#include "preference/pairs/pair_trainer.hpp"
#include "support/world.hpp"
#include "unit/preference/tiny_pairs.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <memory>

namespace popalign::preference {
namespace {

using test::world;

/// As several strategies make them: pairs of one prompt, some with the same chosen answer.
PairData pairs_with_common_parts() {
    const PairData drawn = test::random_pairs(14);
    auto examples = std::make_shared<std::vector<PairExample>>();
    for (std::size_t i = 0; i < drawn.size(); ++i) {
        examples->push_back(drawn.example(i));
        if (i % 3 != 0)
            examples->back().prompt = examples->at(i - 1).prompt;
        if (i % 3 == 2)
            examples->back().chosen = examples->at(i - 1).chosen;
    }
    PairData data = drawn;
    for (std::size_t i = 0; i < data.size(); ++i) {
        data.lengths[i] = lengths_of(examples->at(i));
        data.hashes[i] = hashes_of(examples->at(i));
    }
    data.example = [examples](std::size_t item) { return examples->at(item); };
    return data;
}

struct Variation {
    std::string name;
    PairTrainerOptions options = {};
    lm::AdapterOptions adapters = {};
};

constexpr int steps = 20;

/// Losses and gradient norms of 20 steps of 14, 6 and 8 pairs.
std::vector<double> train(const comm::Communicator& comm, Variation variation,
                          at::ScalarType dtype) {
    lm::TrainableLm model = test::make_tiny_model("qwen2", 7, dtype);
    const PairData data = pairs_with_common_parts();
    const auto reference = test::own_reference(model, data);
    test::perturb(model, 0.05);
    if (variation.adapters.rank > 0)
        model.add_adapters(variation.adapters);
    variation.options.objective = Objective({.beta = 0.5});
    PairTrainer trainer(comm, model, variation.options, 2);
    const auto items = test::all_items(data);
    const std::span<const std::size_t> batches[] = {items, std::span(items).first(6),
                                                    std::span(items).last(8)};
    std::vector<double> values;
    for (int step = 0; step < steps; ++step) {
        const auto share = load_share(comm, data, reference, batches[step % 3]);
        const StepReport report = trainer.step(share, 1e-3);
        values.push_back(report.statistics.mean_loss());
        values.push_back(report.grad_norm);
    }
    return values;
}

PairTrainerOptions with(std::int64_t budget, Sharding sharding, std::int64_t bucket,
                        lm::PassOptions::Activations activations, PackingMode packing) {
    PairTrainerOptions options;
    options.micro_batch_tokens = budget;
    options.update.sharding = {sharding, bucket};
    options.update.activations = activations;
    options.packing = packing;
    return options;
}

std::vector<Variation> variations() {
    constexpr auto keep = lm::PassOptions::Activations::keep;
    constexpr auto recompute = lm::PassOptions::Activations::recompute;
    constexpr auto shared = PackingMode::shared;
    constexpr auto separate = PackingMode::separate;
    constexpr std::int64_t large = 1 << 20;
    return {
        {"all at once", with(large, Sharding::none, large, keep, shared)},
        {"one pair a pass", with(1, Sharding::none, large, keep, shared)},
        {"small passes and buckets", with(60, Sharding::none, 500, keep, shared)},
        {"nothing shared", with(large, Sharding::none, large, keep, separate)},
        {"a sequence alone", with(1, Sharding::none, 500, keep, separate)},
        {"activations computed again", with(60, Sharding::none, 500, recompute, shared)},
        {"sharded optimizer", with(60, Sharding::optimizer, 500, keep, shared)},
        {"sharded optimizer, one bucket", with(large, Sharding::optimizer, large, keep, shared)},
        {"sharded gradients", with(60, Sharding::gradients, 500, keep, shared)},
        {"sharded gradients, all else", with(1, Sharding::gradients, 100, recompute, separate)}};
}

/// One of each kind, for what takes longer or differs elsewhere.
std::vector<Variation> few_variations() {
    const auto all = variations();
    return {all[2], all[5], all[6], all[9]};
}

void expect_close(const std::vector<double>& found, const std::vector<double>& expected,
                  double tolerance, const std::string& name) {
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i)
        ASSERT_NEAR(found[i], expected[i], tolerance * expected[i]) << name << ", value " << i;
}

class InvarianceTest : public ::testing::Test {
  protected:
    void SetUp() override { at::set_num_threads(1); }
};

TEST_F(InvarianceTest, NothingButTheBatchDecidesTheLosses) {
    const auto expected = train(comm::Communicator(), {"alone"}, at::kDouble);
    EXPECT_LT(expected[2 * (steps - 2)], 0.9 * expected[0]) << "it learns";
    for (const Variation& variation : variations())
        expect_close(train(world(), variation, at::kDouble), expected, 1e-8, variation.name);
}

TEST_F(InvarianceTest, InFloat32WithItsKernelsUpToRounding) {
    const auto expected = train(comm::Communicator(), {"alone"}, at::kDouble);
    for (const Variation& variation : few_variations())
        expect_close(train(world(), variation, at::kFloat), expected, 1e-3, variation.name);
}

TEST_F(InvarianceTest, InBfloat16WithMastersOfFloat32) {
    const auto expected = train(comm::Communicator(), {"alone"}, at::kBFloat16);
    for (const Variation& variation : few_variations())
        expect_close(train(world(), variation, at::kBFloat16), expected, 0.1, variation.name);
    const auto precise = train(comm::Communicator(), {"alone"}, at::kDouble);
    EXPECT_NEAR(expected[2 * (steps - 1)], precise[2 * (steps - 1)], 0.1);
}

TEST_F(InvarianceTest, AdaptersAreTrainedTheSameWay) {
    const lm::AdapterOptions adapters{4, 8, {"q_proj", "v_proj", "down_proj"}, 3};
    const auto expected = train(comm::Communicator(), {"alone", {}, adapters}, at::kDouble);
    EXPECT_LT(expected[2 * (steps - 2)], expected[0]) << "it learns";
    for (Variation variation : few_variations()) {
        variation.adapters = adapters;
        expect_close(train(world(), variation, at::kDouble), expected, 1e-8, variation.name);
    }
}

TEST_F(InvarianceTest, MergedAdaptersEqualAppliedOnes) {
    lm::TrainableLm model = test::make_tiny_model("llama", 7, at::kFloat);
    const PairData data = test::random_pairs(6);
    const auto reference = test::own_reference(model, data);
    const at::Tensor before = model.parameter("model.layers.1.mlp.up_proj.weight").clone();
    model.add_adapters({3, 6, lm::AdapterOptions{}.targets, 1});
    const auto start = test::own_reference(model, data);
    EXPECT_EQ(start.chosen, reference.chosen) << "they change nothing at first";
    PairTrainerOptions options;
    options.objective = Objective({.beta = 0.5});
    {
        PairTrainer trainer(world(), model, options, 2);
        const auto share = load_share(world(), data, reference, test::all_items(data));
        for (int step = 0; step < 10; ++step)
            trainer.step(share, 1e-2);
    }
    EXPECT_TRUE(at::equal(model.parameter("model.layers.1.mlp.up_proj.weight"), before));
    const auto applied = test::own_reference(model, data);
    model.merge_adapters();
    EXPECT_EQ(&model.trainable(), &model.parameters());
    const auto merged = test::own_reference(model, data);
    EXPECT_GT(std::abs(applied.chosen[0] - reference.chosen[0]), 1e-2);
    for (std::size_t i = 0; i < data.size(); ++i)
        EXPECT_NEAR(merged.chosen[i], applied.chosen[i], 1e-5 * std::abs(applied.chosen[i]));
}

}  // namespace
}  // namespace popalign::preference
