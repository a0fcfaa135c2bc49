#pragma once

#include <popalign/base/config.hpp>
#include <popalign/base/log.hpp>
#include <popalign/base/run_options.hpp>
#include <popalign/lm/backends/model_options.hpp>
#include <popalign/lm/engine/sampling_options.hpp>
#include <popalign/synthesis/strategy.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace popalign::synthesis {

struct InstructionOptions {
    std::string path;
    std::int64_t offset = 0, limit = 0, held_out = 0;
    std::vector<std::string> evaluation_sets;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("path", path, "JSONL of {id?, instruction, category?}",
                {Presence::required, Effect::file});
        v.field("offset", offset, "number of first instructions to skip");
        v.field("limit", limit, "number of instructions for pairs; 0: all that remain");
        v.field("held_out", held_out,
                "number of instructions after those, held out for evaluation");
        v.field(
            "evaluation_sets", evaluation_sets,
            "files with prompts of benchmarks, JSONL or JSON; a pair is flagged `overlap` if its "
            "instruction shares eight consecutive words with one");
    }
};

/// Limits of a run over all its starts; 0: no limit.
struct BudgetOptions {
    double cost = 0, hours = 0;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("cost", cost,
                "most cost of endpoints, in the currency of their prices; 0: no limit");
        v.field("hours", hours, "most time for generation [h]; 0: no limit");
    }
};

struct SynthesisOptions {
    bool share = true, deterministic = false;
    std::int64_t max_new_tokens = 1024, max_thought_tokens = 512, max_input_tokens = 1024;
    std::int64_t batch_size = 64, parse_retries = 2, plan_sample = 4, merge_memory = 256;
    std::vector<std::string> stop;
    lm::SamplingOptions sampling;
    BudgetOptions max_budget;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("share", share, "make equal generations once; false: draw each afresh");
        v.field("deterministic", deterministic,
                "true: the same bytes on any number of ranks; slower, one thread per rank");
        v.field("max_new_tokens", max_new_tokens, "longest answer [token]");
        v.field("max_thought_tokens", max_thought_tokens,
                "further tokens if a template asks for a thought first");
        v.field("max_input_tokens", max_input_tokens,
                "longest first prompt; instructions with a longer one are left out and counted");
        v.field("batch_size", batch_size,
                "sequences that a rank decodes together; fewer if memory is short. With "
                "`deterministic` it changes the result",
                deterministic ? Effect::result : Effect::speed);
        v.field("parse_retries", parse_retries,
                "further draws of an answer that lacks the format its template asks for");
        v.field("plan_sample", plan_sample,
                "instructions that `--plan` answers to measure lengths and speed; 0: none",
                Effect::speed);
        v.field("merge_memory", merge_memory,
                "memory of a rank for answers while journals are merged [MiB]", Effect::speed);
        v.field("max_budget", max_budget,
                "limits of the run; synthesis stops before it exceeds them", Effect::speed);
        v.field("stop", stop, "texts that end an answer and are cut from it");
        sampling.visit(v);
    }
    void validate() const;
};

/// Inputs of the synthesis stage.
struct SynthesisInputs {
    RunOptions run;
    std::map<std::string, lm::ModelOptions> models;
    InstructionOptions instructions;
    std::vector<StrategyOptions> strategies;
    SynthesisOptions synthesis;
    std::string config_text;  ///< for the pair file's `config`
    std::string provenance;   ///< JSON object, for the pair file's `provenance`
    Logger logger;
};

}  // namespace popalign::synthesis
