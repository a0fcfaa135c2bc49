#include "support/temporary_directory.hpp"
#include "support/world.hpp"
#include "unit/preference/tiny_run.hpp"

#include <popalign/base/file.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/preference/evaluation.hpp>
#include <popalign/preference/train_stage.hpp>
#include <popalign/store/pair_store.hpp>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>

namespace popalign {
namespace {

using test::world;

class TrainStageTest : public ::testing::Test {
  protected:
    TrainStageTest() {
        at::set_num_threads(1);
        test::write_tiny_pairs(world(), directory_ / "pairs.h5");
        if (world().is_root())
            test::write_tiny_model(directory_ / "student");
        barrier(world());
        inputs_.pair_file = directory_ / "pairs.h5";
        inputs_.directory = directory_ / "run";
        inputs_.model.path = directory_ / "student";
        inputs_.device = "cpu";
        inputs_.options.beta = 0.1;
        inputs_.options.learning_rate = 2e-3;
        inputs_.options.global_batch_size = 4;
        inputs_.options.epochs = 3;
        inputs_.options.exclude_flags = {"identical"};
        inputs_.options.strategies = {"good"};
    }

    ExitStatus train(std::optional<std::chrono::seconds> limit = {}) {
        const Deadline deadline({.limit = limit});
        return run_training(world(), inputs_, deadline, Logger());
    }
    PreferenceEvaluation evaluate(const std::filesystem::path& policy) {
        PreferenceInputs inputs;
        inputs.pair_file = inputs_.pair_file;
        inputs.policy.path = policy;
        inputs.reference = inputs_.model;
        inputs.device = "cpu";
        inputs.beta = 0.1;
        inputs.selection.strategies = {"good"};
        return evaluate_preference(world(), inputs, Logger());
    }

    test::TemporaryDirectory directory_;
    TrainInputs inputs_;
};

TEST_F(TrainStageTest, TrainsStoresTheReferenceAndImprovesHeldOutPairs) {
    const auto before = evaluate(directory_ / "student");
    EXPECT_EQ(before.overall.reward_accuracy.successes, 0u);
    EXPECT_EQ(before.overall.reward_margin, 0);
    ASSERT_EQ(train(), ExitStatus::done);

    const PairFile file(inputs_.pair_file);
    ASSERT_EQ(file.reference_keys().size(), 1u);
    const auto reference = file.reference(file.reference_keys()[0]);
    EXPECT_LT(reference.chosen_logprob[0], 0);
    EXPECT_TRUE(std::isnan(reference.chosen_logprob[1])) << "of a strategy that is not used";

    const auto after = evaluate(directory_ / "run/model");
    EXPECT_EQ(after.overall.reward_accuracy.n, 2u);
    EXPECT_EQ(after.overall.reward_accuracy.successes, 2u);
    EXPECT_GT(after.overall.reward_margin, 0);
    EXPECT_EQ(after.strategies.size(), 1u);
    const auto json = nlohmann::json::parse(to_json(after));
    EXPECT_EQ(json["overall"]["reward_accuracy"]["value"], 1.0);
    EXPECT_EQ(json["strategies"]["good"]["n"], 2);
}

TEST_F(TrainStageTest, AFinishedRunIsLeftAlone) {
    ASSERT_EQ(train(), ExitStatus::done);
    const auto written = std::filesystem::last_write_time(directory_ / "run/train/finished.json");
    EXPECT_EQ(train(), ExitStatus::done);
    EXPECT_EQ(std::filesystem::last_write_time(directory_ / "run/train/finished.json"), written);
    barrier(world());
    inputs_.options.beta = 0.2;
    try {
        train();
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.status(), ExitStatus::wrong_use);
        EXPECT_NE(std::string(error.what()).find("train.beta"), std::string::npos);
    }
}

TEST_F(TrainStageTest, ADeadlineDuringEachPhaseLosesNothing) {
    int calls = 0;
    while (train(std::chrono::seconds(0)) == ExitStatus::requeue)
        ASSERT_LT(++calls, 12);
    EXPECT_GE(calls, 5);  // six steps, one a call
    EXPECT_TRUE(std::filesystem::exists(directory_ / "run/model/model.safetensors"));
}

TEST_F(TrainStageTest, WrongUseIsSaidBeforeWork) {
    inputs_.options.objective = "ppo";
    EXPECT_THROW(train(), Error);
    inputs_.options.objective = "dpo";
    inputs_.model.path = directory_ / "nobody";
    EXPECT_THROW(train(), Error);
    EXPECT_FALSE(std::filesystem::exists(directory_ / "run"));
}

}  // namespace
}  // namespace popalign
