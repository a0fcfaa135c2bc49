#pragma once

#include <popalign/base/deadline.hpp>
#include <popalign/base/error.hpp>
#include <popalign/base/log.hpp>
#include <popalign/base/run_options.hpp>
#include <popalign/lm/model_options.hpp>
#include <popalign/lm/model_ranks.hpp>
#include <popalign/record/verdict_summary.hpp>
#include <popalign/store/pair_store.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace popalign {

struct JudgeOptions {
    std::string model = "teacher", template_name = "contrast", split = "all";
    std::int64_t batch_tokens = 2048;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("model", model, "which of `models` judges");
        v.field("template", template_name, "a built-in judge template, or a .yaml file");
        v.field("split", split, "judge the pairs of: all, train or held_out");
        v.field("batch_tokens", batch_tokens, "rows of one forward pass");
    }
    void validate() const;
};

struct JudgeInputs {
    RunOptions run;
    std::map<std::string, ModelOptions> models;
    JudgeOptions judge;
    std::filesystem::path pairs;   ///< the pair file, which receives the verdicts
    std::filesystem::path output;  ///< contrast_accuracy.json
    std::string provenance;
    Logger logger;
};

/// How often the judge finds the chosen answer better, by strategy and over all.
struct ContrastAccuracy {
    std::vector<std::pair<std::string, VerdictSummary>> strategies;
    VerdictSummary all;
};

/// `verdicts` of one judge, ordered by pair; `pairs` are all of the file.
ContrastAccuracy contrast_accuracy(const PairFileHeader& header,
                                   const std::vector<PreferencePair>& pairs,
                                   const std::vector<Verdict>& verdicts);

/// As a table for people.
std::string format_contrast_accuracy(const ContrastAccuracy& accuracy);

/// Judges every pair in both orders, unless the file holds this judge's verdicts already; writes
/// them into the pair file and the table beside it. Collective over the leaders.
ExitStatus run_judge(const ModelRanks& ranks, const JudgeInputs& inputs, const Deadline& deadline);

}  // namespace popalign
