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
                "judge: an entry of `models`, which may be a reward model, or longest or random",
                Effect::model);
        v.field("template", template_name, "a built-in judge template, or a .yaml file");
        v.field("split", split, "pairs to judge: all, train or held_out");
        v.field("limit", limit, "judge only so many first pairs of each strategy; 0: all");
        v.field("batch_tokens", batch_tokens, "tokens of one forward pass", Effect::speed);
    }
    void validate() const;
};

struct JudgeInputs {
    RunOptions run;
    std::map<std::string, lm::ModelOptions> models;
    JudgeOptions judge;
    std::filesystem::path pairs;   ///< the pair file, to which the verdicts are written
    std::filesystem::path output;  ///< contrast_accuracy.json
    std::string provenance;
    Logger logger;
};

/// Has the model judge every pair in both orders, except pairs whose verdicts by this judge are in
/// the file or the run's journals. Writes the verdicts into the pair file, and the accuracy of all
/// its judges to `output`. Collective over the leaders.
ExitStatus run_judge(const lm::ModelRanks& ranks, const JudgeInputs& inputs,
                     const Deadline& deadline);

}  // namespace popalign::contrast
