#pragma once

#include <popalign/base/config.hpp>
#include <popalign/base/deadline.hpp>
#include <popalign/base/error.hpp>
#include <popalign/base/log.hpp>
#include <popalign/base/run_options.hpp>
#include <popalign/lm/backends/model_options.hpp>
#include <popalign/lm/engine/model_ranks.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

namespace popalign::contrast {

struct JudgeOptions {
    std::string model = "teacher", template_name = "contrast", split = "all";
    std::int64_t batch_tokens = 2048, limit = 0;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("model", model,
                "which of `models` judges, also a reward model, or longest or random",
                Effect::model);
        v.field("template", template_name, "a built-in judge template, or a .yaml file");
        v.field("split", split, "judge the pairs of: all, train or held_out");
        v.field("limit", limit, "judge the first pairs of each strategy alone; 0: all");
        v.field("batch_tokens", batch_tokens, "rows of one forward pass", Effect::speed);
    }
    void validate() const;
};

struct JudgeInputs {
    RunOptions run;
    std::map<std::string, lm::ModelOptions> models;
    JudgeOptions judge;
    std::filesystem::path pairs;   ///< the pair file, which receives the verdicts
    std::filesystem::path output;  ///< contrast_accuracy.json
    std::string provenance;
    Logger logger;
};

/// Has every pair judged in both orders, but for what the file or the run's journals hold of this
/// judge already; writes the verdicts into the pair file and the accuracy of all its judges beside
/// it. Collective over the leaders.
ExitStatus run_judge(const lm::ModelRanks& ranks, const JudgeInputs& inputs,
                     const Deadline& deadline);

}  // namespace popalign::contrast
