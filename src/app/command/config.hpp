#pragma once

#include <popalign/base/run_options.hpp>
#include <popalign/campaign/sweep_options.hpp>
#include <popalign/contrast/judge_stage.hpp>
#include <popalign/evaluation/win_rate_stage.hpp>
#include <popalign/preference/options/train_options.hpp>
#include <popalign/synthesis/strategy.hpp>
#include <popalign/synthesis/synthesis_options.hpp>

#include <map>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace popalign::app {

/// A whole config file. Every command reads all of it, so that each reports a wrong key.
struct Config {
    RunOptions run;
    std::map<std::string, lm::ModelOptions> models;
    synthesis::InstructionOptions instructions;
    std::vector<synthesis::StrategyOptions> strategies;
    synthesis::SynthesisOptions synthesis;
    contrast::JudgeOptions judge;
    preference::TrainOptions train;
    evaluation::EvaluateOptions evaluate;
    campaign::SweepOptions sweep;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("run", run, "settings of all commands");
        v.field("models", models, "models, each under a name of your choice");
        v.field("instructions", instructions, "instructions that models answer");
        v.field("strategies", strategies, "strategies that make pairs");
        v.field("synthesis", synthesis, "command `synthesize`");
        v.field("judge", judge, "command `judge`");
        v.field("train", train, "command `train`");
        v.field("evaluate", evaluate, "command `evaluate`");
        v.field("sweep", sweep, "command `sweep`");
    }
};

/// Command line options of the config file.
struct ConfigArguments {
    std::string file;
    std::vector<std::string> overrides;
    bool print = false;

    void add_to(CLI::App& parser);
    /// Reads the file and applies the overrides of the command line, then `more`.
    Config load(const std::vector<std::string>& more = {}) const;
};

/// Returns the model of that name under `models`. Throws UsageError if there is none.
const lm::ModelOptions& find_model(const Config& config, const std::string& name);
/// Returns the model of that name under `models`; else takes the name as a path.
lm::ModelOptions model_or_path(const Config& config, const std::string& name);

/// Returns the table of configs/README.md: every key with its default and purpose.
std::string config_reference();

}  // namespace popalign::app
