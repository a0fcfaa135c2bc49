#pragma once

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
        v.field("path", path, "JSONL of {id?, instruction, category?}", Presence::required);
        v.field("offset", offset, "pass over this many");
        v.field("limit", limit, "use this many for the pairs; 0: all that are left");
        v.field("held_out", held_out, "and this many after them for evaluation");
        v.field("evaluation_sets", evaluation_sets,
                "prompts of benchmarks, JSONL or JSON: pairs whose instruction shares eight words "
                "in a row with one are flagged `overlap`");
    }
};

/// What a run may use, all its starts together; 0: any.
struct BudgetOptions {
    double cost = 0, hours = 0;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("cost", cost, "of endpoints, in the currency of their prices; 0: any");
        v.field("hours", hours, "of generating; 0: any");
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
                "the same bytes on any number of ranks; slower, one thread a rank");
        v.field("max_new_tokens", max_new_tokens, "longest answer");
        v.field("max_thought_tokens", max_thought_tokens,
                "further tokens where a template asks for a thought first");
        v.field("max_input_tokens", max_input_tokens,
                "instructions whose first prompt is longer are left out and counted");
        v.field("batch_size", batch_size,
                "sequences a rank decodes together; fewer where memory is short");
        v.field("parse_retries", parse_retries,
                "how often an answer without the format that its template asks for is drawn anew");
        v.field("plan_sample", plan_sample,
                "instructions that `--plan` really answers, to know lengths and speed; 0: none");
        v.field("merge_memory", merge_memory,
                "MiB a rank that answers may take while journals become the pair file");
        v.field("max_budget", max_budget, "synthesis stops before it uses more");
        v.field("stop", stop, "texts that end an answer, which does not hold them");
        sampling.visit(v);
    }
    void validate() const;
};

/// Everything the stage needs; a plain value.
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
