#include "preference/pairs/train_loop.hpp"

#include "support/temporary_directory.hpp"
#include "support/world.hpp"
#include "unit/preference/tiny_pairs.hpp"

#include <popalign/base/file.hpp>
#include <popalign/comm/collectives.hpp>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <csignal>
#include <fstream>
#include <memory>
#include <sstream>

namespace popalign::preference {
namespace {

using test::world;

std::vector<nlohmann::json> metrics_in(const std::filesystem::path& directory) {
    std::ifstream file(directory / "metrics.jsonl");
    std::vector<nlohmann::json> lines;
    for (std::string line; std::getline(file, line);)
        lines.push_back(nlohmann::json::parse(line));
    return lines;
}

/// Metrics that must be equal between runs: all but timings.
nlohmann::json without_timings(nlohmann::json line) {
    line.erase("perf/tokens_per_second");
    line.erase("perf/exposed_communication");
    return line;
}

struct Outcome {
    ExitStatus status;
    at::Tensor parameters;
};

class TrainLoopTest : public ::testing::Test {
  protected:
    TrainLoopTest() {
        at::set_num_threads(1);
        options_.global_batch_size = 4;
        options_.epochs = 2;
        options_.learning_rate = 1e-3;
        options_.beta = 0.1;
        options_.checkpoint_steps = 3;
        data_ = test::random_pairs(14);  // 4 steps an epoch, the last with 2 pairs
    }

    /// Trains from the same start; `disturb(reads)` is called whenever an example is read.
    Outcome train(const comm::Communicator& comm, const std::filesystem::path& directory,
                  const std::function<void(std::size_t)>& disturb = {}) {
        lm::TrainableLm model = test::make_tiny_model("llama", 7, at::kFloat);
        const auto reference = test::own_reference(model, data_);
        PairData data = data_;
        auto reads = std::make_shared<std::size_t>(0);
        data.example = [=, this](std::size_t item) {
            ++*reads;
            if (disturb)
                disturb(*reads);
            return data_.example(item);
        };
        const Deadline deadline({});
        const TrainingRun run{
            data, reference, options_,
            5,    directory, {{"train.learning_rate", std::to_string(options_.learning_rate)}}};
        const ExitStatus status = train_on_pairs(comm, model, run, deadline, Logger());
        std::vector<at::Tensor> flat;
        for (const lm::NamedParameter& parameter : model.parameters())
            flat.push_back(parameter.tensor.reshape(-1));
        return {status, at::cat(flat)};
    }

    /// Reads of this rank up to about the middle of the run.
    std::size_t some_reads() const { return 14 / static_cast<std::size_t>(world().size()); }

    void expect_same_run(const std::filesystem::path& one, const std::filesystem::path& other) {
        if (!world().is_root())
            return;
        const auto expected = metrics_in(one), found = metrics_in(other);
        ASSERT_EQ(expected.size(), 8u);
        ASSERT_EQ(found.size(), 8u);
        for (std::size_t i = 0; i < 8; ++i)
            EXPECT_EQ(without_timings(found[i]), without_timings(expected[i]));
    }

    TrainOptions options_;
    PairData data_;
    test::TemporaryDirectory directory_;
};

TEST_F(TrainLoopTest, MetricsHaveTheFieldsNamesOncePerStep) {
    options_.machine.teraflops = 0.001;
    ASSERT_EQ(train(world(), directory_ / "run").status, ExitStatus::done);
    if (!world().is_root())
        return;
    const auto lines = metrics_in(directory_ / "run");
    ASSERT_EQ(lines.size(), 8u);
    EXPECT_GT(lines[0]["perf/mfu"].get<double>(), 0);
    for (std::size_t i = 0; i < lines.size(); ++i) {
        EXPECT_EQ(lines[i]["step"], i + 1);
        for (const char* name :
             {"loss", "rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies",
              "logps/chosen", "logps/rejected", "grad_norm", "learning_rate", "num_tokens", "epoch",
              "perf/tokens_per_second", "perf/exposed_communication", "train/padding_fraction"})
            EXPECT_TRUE(lines[i].contains(name)) << name;
    }
    EXPECT_TRUE(lines[0].contains("strategy/strategy0/rewards/margins"));
    EXPECT_EQ(lines[0]["rewards/accuracies"], 0.0);  // all ties
    EXPECT_EQ(lines[0]["learning_rate"], 0.0);       // warm-up starts at 0
    EXPECT_DOUBLE_EQ(lines[7]["epoch"].get<double>(), 2);
    EXPECT_LT(lines[7]["loss"], lines[0]["loss"]);
}

TEST_F(TrainLoopTest, StoppedByASignalAndContinuedEqualsUninterrupted) {
    const Outcome whole = train(world(), directory_ / "whole");
    const auto stopped = train(world(), directory_ / "parts", [this](std::size_t reads) {
        if (reads == some_reads() && world().rank() == world().size() - 1)
            std::raise(SIGUSR1);
    });
    EXPECT_EQ(stopped.status, ExitStatus::requeue);
    EXPECT_LT(metrics_in(directory_ / "parts").size(), 8u);
    comm::barrier(world());
    const Outcome continued = train(world(), directory_ / "parts");
    EXPECT_EQ(continued.status, ExitStatus::done);
    EXPECT_TRUE(at::equal(continued.parameters, whole.parameters));
    expect_same_run(directory_ / "whole", directory_ / "parts");
}

TEST_F(TrainLoopTest, StoppedAndContinuedEqualsUninterruptedWhereRanksShareTheState) {
    for (const std::int64_t stage : {1, 2}) {
        const std::string name = std::to_string(stage);
        options_.zero_stage = stage;
        options_.micro_batch_tokens = 40;
        options_.batching = "by_instruction";
        const Outcome whole = train(world(), directory_ / ("whole" + name));
        const auto stopped = train(world(), directory_ / ("parts" + name), [this](auto reads) {
            if (reads == some_reads() && world().rank() == 0)
                std::raise(SIGTERM);
        });
        EXPECT_EQ(stopped.status, ExitStatus::requeue);
        comm::barrier(world());
        const Outcome continued = train(world(), directory_ / ("parts" + name));
        EXPECT_TRUE(at::equal(continued.parameters, whole.parameters));
        expect_same_run(directory_ / ("whole" + name), directory_ / ("parts" + name));
    }
}

TEST_F(TrainLoopTest, ContinuesWithAnotherShardingOnAnotherNumberOfRanks) {
    const Outcome whole = train(world(), directory_ / "whole");
    options_.zero_stage = 2;
    options_.bucket_megabytes = 1;
    train(world(), directory_ / "parts", [this](std::size_t reads) {
        if (reads == some_reads())
            std::raise(SIGUSR1);
    });
    if (!world().is_root())
        return;
    options_.zero_stage = 1;
    options_.activation_checkpointing = true;
    const Outcome continued = train(comm::Communicator(), directory_ / "parts");
    EXPECT_TRUE(at::allclose(continued.parameters, whole.parameters, 0, 1e-5));
    const auto expected = metrics_in(directory_ / "whole"),
               found = metrics_in(directory_ / "parts");
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
        EXPECT_NEAR(found[i]["loss"], expected[i]["loss"].get<double>(), 1e-5);
        EXPECT_EQ(found[i]["num_tokens"], expected[i]["num_tokens"]);
    }
}

TEST_F(TrainLoopTest, ContinuedAfterACrashDoesStepsAgainWithoutRepeatingLines) {
    const Outcome whole = train(world(), directory_ / "whole");
    EXPECT_THROW(train(world(), directory_ / "parts",
                       [this](std::size_t reads) {
                           if (reads == 18 / static_cast<std::size_t>(world().size()))
                               throw Error("the node died");
                       }),
                 Error);
    const Outcome continued = train(world(), directory_ / "parts");
    EXPECT_TRUE(at::equal(continued.parameters, whole.parameters));
    expect_same_run(directory_ / "whole", directory_ / "parts");
}

TEST_F(TrainLoopTest, AFinishedRunIsNotTrainedFurther) {
    const Outcome first = train(world(), directory_ / "run");
    const Outcome second = train(world(), directory_ / "run");
    EXPECT_TRUE(at::equal(first.parameters, second.parameters));
}

TEST_F(TrainLoopTest, OtherSettingsRefuseTheCheckpoint) {
    train(world(), directory_ / "run");
    options_.learning_rate = 2e-3;
    try {
        train(world(), directory_ / "run");
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.status(), ExitStatus::wrong_use);
        EXPECT_NE(std::string(error.what()).find("train.learning_rate"), std::string::npos);
    }
}

TEST_F(TrainLoopTest, ADamagedCheckpointIsRefused) {
    train(world(), directory_ / "run");
    const auto checkpoint = directory_ / "run/checkpoints/step-000008";
    ASSERT_TRUE(std::filesystem::is_directory(checkpoint));
    if (world().is_root()) {
        const std::string ranks = std::to_string(world().size());
        std::fstream file(checkpoint / ("shard-00000-of-0000" + ranks + ".safetensors"),
                          std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(-3, std::ios::end);
        file.put('\x55');
    }
    comm::barrier(world());
    EXPECT_THROW(train(world(), directory_ / "run"), Error);
}

TEST_F(TrainLoopTest, ACheckpointThatLacksAShardIsRefused) {
    train(world(), directory_ / "run");
    if (world().is_root())
        for (const auto& entry :
             std::filesystem::directory_iterator(directory_ / "run/checkpoints/step-000008"))
            if (entry.path().filename().native().starts_with("shard-00000"))
                std::filesystem::remove(entry.path());
    comm::barrier(world());
    EXPECT_THROW(train(world(), directory_ / "run"), Error);
}

TEST_F(TrainLoopTest, OnlyTheNewestCheckpointsStay) {
    options_.keep_checkpoints = 2;
    train(world(), directory_ / "run");
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory_ / "run/checkpoints"))
        names.insert(entry.path().filename());
    EXPECT_EQ(names, (std::set<std::string>{"step-000006", "step-000008"}));
}

TEST_F(TrainLoopTest, AReferenceThatIsNotTheModelIsNoticedAtStep1) {
    lm::TrainableLm model = test::make_tiny_model("llama", 7, at::kFloat);
    auto reference = test::own_reference(model, data_);
    for (double& value : reference.chosen)
        value += 0.1;
    const Deadline deadline({});
    try {
        train_on_pairs(world(), model, {data_, reference, options_, 5, directory_ / "run", {}},
                       deadline, Logger());
        FAIL();
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("instead of 0.693147"), std::string::npos);
    }
}

}  // namespace
}  // namespace popalign::preference
