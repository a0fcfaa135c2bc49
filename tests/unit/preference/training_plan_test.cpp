#include "preference/data/packed_pairs.hpp"
#include "preference/pairs/training_cost.hpp"
#include "preference/training_memory.hpp"
#include "support/temporary_directory.hpp"
#include "support/world.hpp"
#include "unit/preference/tiny_pairs.hpp"
#include "unit/preference/tiny_run.hpp"

#include <popalign/comm/collectives.hpp>
#include <popalign/lm/transformer/architecture.hpp>
#include <popalign/preference/training_plan.hpp>
#include <popalign/store/pairs/pair_file.hpp>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace popalign::preference {
namespace {

using test::world;

TEST(TrainingCost, CountsProductsOfSharedRowsOnce) {
    const lm::ModelConfig config = test::make_tiny_model("qwen2", 7, at::kFloat).config();
    const PairExample example{{1, 2, 3}, {4, 5}, {6}};
    const TrainingCost cost = cost_of(config, pack_pairs(std::span(&example, 1)));
    EXPECT_EQ(cost.rows, 6);
    // A layer has q and o of 32 x 32, k and v of 16 x 32, and three of 48 x 32.
    EXPECT_EQ(cost.projections, 2.0 * 2 * (2 * 1024 + 2 * 512 + 3 * 1536) * 6);
    // 1 + 2 + 3 rows seen by the prompt's, 4 + 5 and 4 by the answers'; scores and sums of values.
    EXPECT_EQ(cost.attention, 2.0 * 4 * 32 * (6 + 9 + 4));
    EXPECT_EQ(cost.head, 2.0 * 32 * 97 * 3);
    EXPECT_EQ(cost.training(), 3 * (cost.projections + cost.attention + cost.head));
}

TEST(TrainingMemory, FallsWithWhatIsSharedOrComputedAgain) {
    const lm::ModelConfig config = test::make_tiny_model("qwen2", 7, at::kFloat).config();
    const auto parameters = static_cast<double>(lm::parameter_count(config));
    TrainOptions options;
    const auto memory = [&](int ranks, at::ScalarType dtype = at::kFloat) {
        return training_memory(config, dtype, options, ranks, 1000);
    };
    const TrainingMemory whole = memory(4);
    EXPECT_EQ(whole.weights, 4 * parameters);
    EXPECT_EQ(whole.masters, 0);
    EXPECT_EQ(whole.gradients, 4 * parameters);
    EXPECT_EQ(whole.optimizer, 8 * parameters);
    EXPECT_EQ(memory(1).buckets, 0);
    EXPECT_EQ(memory(1, at::kBFloat16).weights, 2 * parameters);
    EXPECT_EQ(memory(1, at::kBFloat16).masters, 4 * parameters);
    options.zero_stage = 1;
    EXPECT_EQ(memory(4).optimizer, whole.optimizer / 4);
    EXPECT_EQ(memory(4).gradients, whole.gradients);
    options.zero_stage = 2;
    EXPECT_EQ(memory(4).gradients, whole.gradients / 4);
    options.activation_checkpointing = true;
    EXPECT_LT(memory(4).activations, whole.activations);
    options.lora_rank = 2;
    // Both sides of seven projections: q and o 64, k and v 48, three of 80 for the gate.
    EXPECT_EQ(memory(4).optimizer, 8.0 * 2 * 2 * (2 * 64 + 2 * 48 + 3 * 80) / 4);
}

TEST(TrainingMemory, TheLargestMicroBatchJustFits) {
    const lm::ModelConfig config = test::make_tiny_model("qwen2", 7, at::kFloat).config();
    const TrainOptions options;
    const auto total = [&](std::int64_t tokens) {
        return 1e6 + training_memory(config, at::kFloat, options, 2, tokens).total();
    };
    const double bytes = total(4096);
    const std::int64_t most = largest_micro_batch(config, at::kFloat, options, 2, 1e6, bytes);
    EXPECT_LE(total(most), bytes);
    EXPECT_GT(total(most + 1), bytes);
    EXPECT_EQ(largest_micro_batch(config, at::kFloat, options, 2, 1e6, 1e6), 0);
}

class TrainingPlanTest : public ::testing::Test {
  protected:
    TrainingPlanTest() {
        at::set_num_threads(1);
        test::write_tiny_pairs(world(), directory_ / "pairs.h5");
        if (world().is_root())
            test::write_tiny_model(directory_ / "student");
        comm::barrier(world());
        inputs_.pair_file = directory_ / "pairs.h5";
        inputs_.directory = directory_ / "run";
        inputs_.model.path = directory_ / "student";
        inputs_.device = "cpu";
        inputs_.options.global_batch_size = 4;
        inputs_.options.exclude_flags = {};
    }
    nlohmann::json plan() const {
        return nlohmann::json::parse(plan_training(world(), inputs_, Logger()));
    }

    test::TemporaryDirectory directory_;
    TrainInputs inputs_;
};

TEST_F(TrainingPlanTest, MeasuresThisMachineAndWritesNothing) {
    for (const char* objective : {"dpo", "sft", "reward"}) {
        inputs_.options.objective = objective;
        inputs_.options.lora_rank = objective == std::string("sft") ? 2 : 0;
        const auto json = plan();
        EXPECT_EQ(json["ranks"], world().size());
        EXPECT_EQ(json["pairs"], 16);
        EXPECT_EQ(json["steps"], 4);
        double sum = 0;
        for (const auto& [part, bytes] : json["memory_bytes"].items())
            sum += part == "total" ? 0 : bytes.get<double>();
        EXPECT_EQ(json["memory_bytes"]["total"], sum);
        EXPECT_GT(json["largest_micro_batch_tokens"], 2048);
        EXPECT_GT(json["seconds"]["passes"], 0);
        EXPECT_GT(json["pairs_per_second"], 0);
        EXPECT_EQ(json["seconds"]["exposed_communication"] > 0, world().size() > 1);
    }
    EXPECT_FALSE(std::filesystem::exists(directory_ / "run"));
    EXPECT_TRUE(store::PairFile(inputs_.pair_file).reference_keys().empty());
}

TEST_F(TrainingPlanTest, DescribesAnotherMachine) {
    MachineDescription& machine = inputs_.options.machine;
    machine = {2, 4, 1e-3, 0.5, 1, 100, 10, 1};
    inputs_.options.global_batch_size = 16;
    const auto slow = plan();
    EXPECT_EQ(slow["ranks"], 8);
    EXPECT_EQ(slow["nodes"], 2);
    EXPECT_EQ(slow["memory_available_bytes"], 1e9);
    EXPECT_DOUBLE_EQ(slow["flops_per_second_of_a_rank"].get<double>(), 5e8);
    machine.teraflops *= 10;
    EXPECT_NEAR(plan()["seconds"]["passes"].get<double>(),
                slow["seconds"]["passes"].get<double>() / 10, 1e-12);
    machine.network_gigabytes_per_second = 1e-6;
    EXPECT_GT(plan()["seconds"]["exposed_communication"],
              100 * slow["seconds"]["exposed_communication"].get<double>());
    machine.network_gigabytes_per_second = 0;
    try {
        plan();
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.status(), ExitStatus::wrong_use);
        EXPECT_NE(std::string(error.what()).find("network_gigabytes_per_second"),
                  std::string::npos);
    }
}

}  // namespace
}  // namespace popalign::preference
