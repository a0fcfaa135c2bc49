#include "support/temporary_directory.hpp"
#include "support/world.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/campaign/cost.hpp>
#include <popalign/store/pairs/pair_writer.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <chrono>

namespace popalign::campaign {
namespace {

using test::world;

TEST(CostMeter, ProcessorTimeIsSummedOverRanks) {
    const CostMeter meter(world());
    const auto start = std::chrono::steady_clock::now();
    volatile double work = 0;
    while (std::chrono::steady_clock::now() - start < std::chrono::milliseconds(300))
        work = work + 1;
    const StageCost cost = meter.finish("busy", DeviceKind::gpu);
    EXPECT_EQ(cost.ranks, world().size());
    EXPECT_GE(cost.seconds, 0.3);
    EXPECT_GT(cost.core_seconds, 0.0);
    EXPECT_LE(cost.core_seconds, cost.seconds * cost.ranks * 1.5);
    EXPECT_DOUBLE_EQ(cost.gpu_seconds, cost.seconds * cost.ranks);
    EXPECT_GT(cost.peak_memory_bytes, 1u << 20);
}

TEST(TotalCost, AddsUpAllRecordsBelowADirectory) {
    const test::TemporaryDirectory directory;
    if (!world().is_root())
        return;  // one rank writes
    StageCost cost;
    cost.stage = "train";
    cost.core_seconds = 2;
    cost.tokens = 10;
    append_cost(directory / "run/a", cost);
    append_cost(directory / "run/a", cost);
    cost.stage = "synthesize";
    cost.joules = 5;
    cost.strategy_tokens = {{"prefix", 7}, {"refine", 3}};
    append_cost(directory / "data/b", cost);
    std::string text = read_text_file(directory / "data/b/cost.jsonl");
    write_text_file(directory / "data/b/cost.jsonl", text + text.substr(0, 20));
    const auto total = nlohmann::json::parse(total_cost(directory.path()));
    EXPECT_EQ(total["stages"]["train"]["records"], 2);
    EXPECT_EQ(total["stages"]["train"]["core_seconds"], 4);
    EXPECT_EQ(total["total"]["tokens"], 30);
    EXPECT_EQ(total["total"]["joules"], 5);
    EXPECT_EQ(total["strategy_tokens"]["prefix"], 7);
    EXPECT_EQ(total["unreadable_lines"], 1);
    EXPECT_THROW(total_cost(directory / "none"), UsageError);
}

TEST(TokensByStrategy, SharedAnswersCountInParts) {
    const test::TemporaryDirectory directory;
    store::PairFileHeader header;
    header.models.push_back({"m", "", "", 0, "", ""});
    header.generations = {{"a", 0, ""}, {"b", 0, ""}, {"c", 0, ""}};
    header.strategies = {{"first", "prompt", ""}, {"second", "prompt", ""}};
    store::PairBlock block;
    if (world().is_root()) {
        block.instructions.push_back({"i", "", "text"});
        for (std::uint32_t generation = 0; generation < 3; ++generation) {
            Response response;
            response.generation = generation;
            response.text = "x";
            response.tokens.assign(10 * (generation + 1), 1);
            block.responses.push_back(response);
        }
        block.pairs = {{0, 0, 0, 1, 0}, {0, 1, 0, 2, 0}};
    }
    const auto path = directory / "pairs.h5";
    store::write_pair_file(world(), path, header, block);
    const auto tokens = tokens_by_strategy(path);
    EXPECT_EQ(tokens.at("first"), 25u);
    EXPECT_EQ(tokens.at("second"), 35u);
}

}  // namespace
}  // namespace popalign::campaign
