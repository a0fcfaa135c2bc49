#include "preference/pairs/reward_evaluation.hpp"
#include "support/temporary_directory.hpp"
#include "support/world.hpp"
#include "unit/preference/tiny_run.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>
#include <popalign/lm/checkpoint/language_model.hpp>
#include <popalign/lm/transformer/causal_lm.hpp>
#include <popalign/preference/train_stage.hpp>
#include <popalign/store/pairs/pair_file.hpp>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>

namespace popalign::preference {
namespace {

using test::world;

class TrainStageTest : public ::testing::Test {
  protected:
    TrainStageTest() {
        at::set_num_threads(1);
        test::write_tiny_pairs(world(), directory_ / "pairs.h5");
        if (world().is_root())
            test::write_tiny_model(directory_ / "student");
        comm::barrier(world());
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

    const store::PairFile file(inputs_.pair_file);
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

TEST_F(TrainStageTest, ReferencesCanBeComputedByThemselves) {
    inputs_.options.reference_micro_batch_tokens = 100;
    inputs_.goal = TrainGoal::reference;
    ASSERT_EQ(train(), ExitStatus::done);
    EXPECT_FALSE(std::filesystem::exists(directory_ / "run"));
    const auto values = [&] {
        const store::PairFile file(inputs_.pair_file);
        EXPECT_EQ(file.reference_keys().size(), 1u);
        return file.reference(file.reference_keys().at(0)).chosen_logprob;
    };
    const auto before = values();
    EXPECT_LT(before[0], 0);
    EXPECT_LT(before[18], 0) << "held out";
    comm::barrier(world());
    inputs_.goal = TrainGoal::model;
    ASSERT_EQ(train(), ExitStatus::done);
    evaluate(directory_ / "run/model");
    EXPECT_EQ(values()[0], before[0]);
    EXPECT_EQ(values()[18], before[18]);
}

TEST_F(TrainStageTest, ObjectivesWithoutAReferenceComputeNone) {
    inputs_.options.objective_weights = {{"simpo", 1.0}, {"sft", 0.5}};
    inputs_.options.beta = 2;
    ASSERT_EQ(train(), ExitStatus::done);
    EXPECT_TRUE(store::PairFile(inputs_.pair_file).reference_keys().empty());
    comm::barrier(world());
    EXPECT_EQ(evaluate(directory_ / "run/model").overall.logps_accuracy.successes, 2u);
}

TEST_F(TrainStageTest, SupervisedTuningRaisesTheChosenAnswersAlone) {
    inputs_.options.objective = "sft";
    ASSERT_EQ(train(), ExitStatus::done);
    if (!world().is_root())
        return;
    const auto lines = read_text_file(directory_ / "run/train/metrics.jsonl");
    const auto first = nlohmann::json::parse(lines.substr(0, lines.find('\n')));
    const auto last = nlohmann::json::parse(lines.substr(lines.rfind('\n', lines.size() - 2) + 1));
    EXPECT_LT(last["loss"], first["loss"]);
    EXPECT_LT(last["logps/chosen"], 0);
    EXPECT_FALSE(last.contains("rewards/chosen"));
    EXPECT_FALSE(last.contains("logps/rejected"));
}

TEST_F(TrainStageTest, KtoKeepsTheDivergencesReferenceBesideTheOther) {
    inputs_.options.objective = "kto";
    ASSERT_EQ(train(), ExitStatus::done);
    EXPECT_EQ(store::PairFile(inputs_.pair_file).reference_keys().size(), 2u);
    comm::barrier(world());
    EXPECT_EQ(evaluate(directory_ / "run/model").overall.reward_accuracy.successes, 2u);
}

TEST_F(TrainStageTest, ARewardModelIsTrainedSavedAndEvaluated) {
    inputs_.options.objective = "reward";
    ASSERT_EQ(train(), ExitStatus::done);
    EXPECT_TRUE(store::PairFile(inputs_.pair_file).reference_keys().empty());
    EXPECT_TRUE(lm::is_reward_model(std::filesystem::path(directory_ / "run/model")));
    EXPECT_THROW(lm::load_causal_lm(directory_ / "run/model", at::kFloat, at::kCPU), InputError);

    PreferenceInputs inputs;
    inputs.pair_file = inputs_.pair_file;
    inputs.policy.path = directory_ / "run/model";
    inputs.device = "cpu";
    inputs.selection.strategies = {"good"};
    const RewardEvaluation evaluation = evaluate_reward_model(world(), inputs, Logger());
    EXPECT_EQ(evaluation.overall.accuracy.n, 2u);
    EXPECT_EQ(evaluation.overall.accuracy.successes, 2u);
    EXPECT_LT(evaluation.overall.log_loss, 0.69);
    EXPECT_EQ(nlohmann::json::parse(to_json(evaluation))["strategies"]["good"]["n"], 2);
    if (!world().is_root())
        return;
    const auto lines = read_text_file(directory_ / "run/train/metrics.jsonl");
    const auto last = nlohmann::json::parse(lines.substr(lines.rfind('\n', lines.size() - 2) + 1));
    EXPECT_EQ(last["accuracy"], 1.0);
    EXPECT_TRUE(last.contains("strategy/good/margin"));
    EXPECT_FALSE(last.contains("logps/chosen"));
}

TEST_F(TrainStageTest, AdaptersAreMergedIntoTheModelThatIsSaved) {
    inputs_.options.lora_rank = 4;
    inputs_.options.lora_alpha = 8;
    inputs_.options.lora_targets = {"q_proj", "down_proj"};
    inputs_.options.learning_rate = 2e-2;
    inputs_.options.zero_stage = 1;
    ASSERT_EQ(train(), ExitStatus::done);
    EXPECT_EQ(evaluate(directory_ / "run/model").overall.reward_accuracy.successes, 2u);
    lm::TrainableLm before = lm::load_causal_lm(directory_ / "student", at::kFloat, at::kCPU);
    lm::TrainableLm after = lm::load_causal_lm(directory_ / "run/model", at::kFloat, at::kCPU);
    for (const char* name : {"embed_tokens.weight", "layers.1.mlp.up_proj.weight"})
        EXPECT_TRUE(at::equal(before.parameter(std::string("model.") + name),
                              after.parameter(std::string("model.") + name)));
    for (const char* name : {"layers.0.self_attn.q_proj.weight", "layers.1.mlp.down_proj.weight"})
        EXPECT_FALSE(at::equal(before.parameter(std::string("model.") + name),
                               after.parameter(std::string("model.") + name)));
}

TEST_F(TrainStageTest, UnknownTargetsOfAdaptersAreRefused) {
    inputs_.options.lora_rank = 4;
    inputs_.options.lora_targets = {"q_proj", "lm_head"};
    try {
        train();
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.status(), ExitStatus::wrong_use);
        EXPECT_NE(std::string(error.what()).find("lm_head"), std::string::npos);
    }
}

TEST_F(TrainStageTest, ARewardModelsHeadIsTrainedBesideItsAdapters) {
    inputs_.options.objective = "reward";
    inputs_.options.lora_rank = 2;
    ASSERT_EQ(train(), ExitStatus::done);
    lm::TrainableLm start =
        lm::load_reward_model(directory_ / "student", at::kFloat, at::kCPU, inputs_.seed);
    lm::TrainableLm after = lm::load_reward_model(directory_ / "run/model", at::kFloat, at::kCPU);
    EXPECT_FALSE(at::equal(start.parameter("score.weight"), after.parameter("score.weight")));
}

TEST_F(TrainStageTest, TrainsInBfloat16) {
    inputs_.model.dtype = "bfloat16";
    ASSERT_EQ(train(), ExitStatus::done);
    inputs_.model.dtype = "float32";
    EXPECT_EQ(evaluate(directory_ / "run/model").overall.reward_accuracy.successes, 2u);
}

TEST_F(TrainStageTest, AFinishedRunIsLeftAlone) {
    ASSERT_EQ(train(), ExitStatus::done);
    const auto written = std::filesystem::last_write_time(directory_ / "run/train/finished.json");
    EXPECT_EQ(train(), ExitStatus::done);
    EXPECT_EQ(std::filesystem::last_write_time(directory_ / "run/train/finished.json"), written);
    comm::barrier(world());
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
}  // namespace popalign::preference
