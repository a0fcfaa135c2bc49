#pragma once

#include <popalign/base/config.hpp>
#include <popalign/base/deadline.hpp>
#include <popalign/base/error.hpp>
#include <popalign/base/log.hpp>
#include <popalign/base/run_options.hpp>
#include <popalign/lm/backends/model_options.hpp>
#include <popalign/lm/engine/model_ranks.hpp>
#include <popalign/lm/engine/sampling_options.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace popalign::evaluation {

struct EvaluateOptions {
    std::string baseline = "student", judge = "teacher", judge_template;
    std::int64_t max_new_tokens = 512, batch_size = 64, batch_tokens = 2048, limit = 0;
    std::vector<std::string> stop;
    lm::SamplingOptions sampling{.temperature = 0};

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("judge", judge,
                "judge: an entry of `models`, which may be a reward model, or longest or random",
                Effect::model);
        v.field("baseline", baseline, "entry of `models` that the aligned model is compared with",
                Effect::model);
        v.field("judge_template", judge_template,
                "a built-in judge template, or a .yaml file; empty: the benchmark's own");
        v.field("limit", limit, "evaluate only so many first items of each category; 0: all");
        v.field("max_new_tokens", max_new_tokens, "longest answer [token]");
        v.field("batch_size", batch_size, "sequences that a rank decodes together", Effect::speed);
        v.field("batch_tokens", batch_tokens, "tokens of one forward pass of the judge",
                Effect::speed);
        v.field("stop", stop, "texts that end an answer and are cut from it");
        sampling.visit(v);
    }
    void validate() const;
};

struct WinRateInputs {
    RunOptions run;
    std::map<std::string, lm::ModelOptions> models;
    EvaluateOptions evaluate;
    lm::ModelOptions model;        ///< the aligned model
    std::filesystem::path pairs;   ///< pair file whose held-out instructions are answered
    std::filesystem::path output;  ///< win_rate.json; the items go beside it as .jsonl
    std::string provenance;
    Logger logger;
};

/// Answers the held-out instructions with the aligned model and the baseline and has the judge
/// compare them in both orders. Items are spread over the leaders. Returns `requeue` at the
/// deadline. Collective over the leaders.
ExitStatus run_win_rate(const lm::ModelRanks& ranks, const WinRateInputs& inputs,
                        const Deadline& deadline);

}  // namespace popalign::evaluation
