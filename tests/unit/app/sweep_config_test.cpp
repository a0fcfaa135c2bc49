#include "app/sweep/sweep_config.hpp"

#include <popalign/base/error.hpp>

#include <gtest/gtest.h>
#include <support/temporary_directory.hpp>

#include <fstream>
#include <set>

namespace popalign::app {
namespace {

class SweepConfig : public testing::Test {
  protected:
    SweepConfig() {
        arguments_.file = (directory_ / "sweep.yaml").native();
        std::ofstream(arguments_.file)
            << "run: {name: x, directory: /runs/x}\n"
               "models: {teacher: {responses: t.jsonl}, rival: {responses: r.jsonl}}\n"
               "instructions: {path: i.jsonl, limit: 8}\n"
               "strategies:\n"
               "  - {name: prefix, model: teacher}\n"
               "  - {name: leaderboard, chosen: teacher, rejected: rival}\n"
               "sweep: {mixes: [single], seeds: [0, 1]}\n";
    }
    Sweep load(const std::vector<std::string>& overrides = {}) {
        arguments_.overrides = overrides;
        return load_sweep(arguments_);
    }
    std::string error_of(const std::vector<std::string>& overrides) {
        try {
            load(overrides);
        } catch (const UsageError& error) {
            return error.what();
        }
        return "no error";
    }

    test::TemporaryDirectory directory_;
    ConfigArguments arguments_;
};

TEST_F(SweepConfig, MixesTimesSeedsTimesFactorsAreRuns) {
    const Sweep sweep = load({"sweep.factors=[{key: train.beta, values: ['0.1', '0.2', '0.4']}]"});
    EXPECT_EQ(sweep.plan.runs.size(), 2U * 2 * 3);
    EXPECT_EQ(sweep.plan.data.size(), 1U);
    std::set<double> betas;
    std::set<std::uint64_t> seeds;
    for (const campaign::SweepUnit& run : sweep.plan.runs) {
        const Config config = sweep.config_of(run);
        betas.insert(config.train.beta);
        seeds.insert(config.run.seed);
        EXPECT_EQ(config.run.directory, "/runs/x/" + run.name);
        EXPECT_EQ(config.run.pairs, "/runs/x/" + run.data + "/pairs.h5");
    }
    EXPECT_EQ(betas, (std::set<double>{0.1, 0.2, 0.4}));
    EXPECT_EQ(seeds, (std::set<std::uint64_t>{0, 1}));
}

TEST_F(SweepConfig, AFactorOfTheDataMakesPairsOfItsOwn) {
    const Sweep sweep =
        load({"sweep.factors=[{key: synthesis.temperature, values: ['0.5', '1']}]"});
    EXPECT_EQ(sweep.plan.data.size(), 2U);
    EXPECT_NE(sweep.plan.data[0].name, sweep.plan.data[1].name);
}

TEST_F(SweepConfig, WhatCannotBeExpandedIsNamed) {
    for (const auto& [overrides, problem] :
         std::vector<std::pair<std::vector<std::string>, std::string>>{
             {{"sweep.factors=[{key: train.betta, values: ['1']}]"}, "unknown key 'train.betta'"},
             {{"sweep.factors=[{key: train.beta, values: ['0.1', much]}]"},
              "train.beta: 'much' is not"},
             {{"sweep.factors=[{key: run.name.x, values: ['1']}]"}, "lies below a plain value"},
             {{"sweep.factors=[{key: run.directory, values: [a]}]"}, "sweep.factors"},
             {{"sweep.factors=[{values: ['1']}]"}, "'sweep.factors.0.key' is missing"},
             {{"sweep.mixes=[sngle]"}, "sweep.mixes: 'sngle'"},
             {{"sweep.controls=[{strategy: refine}]"}, "sweep.controls: 'refine'"},
             {{"sweep.sizes=[0]"}, "sweep.sizes"},
             {{"sweep.seeds=[]"}, "sweep.seeds"},
             {{"sweep.evaluations=[perplexity]"}, "sweep.evaluations"},
             {{"strategies=[]"}, "strateg"}}) {
        const std::string error = error_of(overrides);
        EXPECT_NE(error.find(problem), std::string::npos) << overrides.front() << ": " << error;
        EXPECT_EQ(error.find('\n'), std::string::npos) << error;
    }
}

}  // namespace
}  // namespace popalign::app
