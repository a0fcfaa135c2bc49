#pragma once

#include <popalign/base/log.hpp>
#include <popalign/lm/judge_template.hpp>
#include <popalign/lm/model_identity.hpp>
#include <popalign/lm/model_options.hpp>
#include <popalign/lm/model_ranks.hpp>
#include <popalign/record/verdict.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

namespace popalign {

/// An answer and another it is held against.
struct Comparison {
    std::string instruction, chosen, rejected;
};

/// Compares answers by the probabilities of the verdict labels. A judge prefers places as well as
/// answers, so it is always asked in both orders.
class AnswerJudge {
  public:
    virtual ~AnswerJudge() = default;
    /// Calls `done(index of the comparison, verdict)` for each order; `pair` and `judge` of the
    /// verdict are the caller's to fill in.
    virtual void judge(std::span<const Comparison> comparisons,
                       const std::function<void(std::size_t, Verdict)>& done) = 0;
};

struct JudgeRunOptions {
    std::int64_t batch_tokens = 2048;  ///< rows of one forward pass
    std::string device = "auto";
    ModelRanks ranks = {};
    Logger logger;
};

/// What the judge is, without loading weights. `name` is its name in the config. Throws UsageError
/// for a file of ready answers and for a model without a chat template.
ModelIdentity identify_judge(const std::string& name, const ModelOptions& model);

/// Loads weights, or prepares to talk to a server. Throws UsageError if a label is not one token
/// for a local model behind the template's beginning. Collective over the leaders of the node.
std::unique_ptr<AnswerJudge> open_judge(const std::string& name, const ModelOptions& model,
                                        JudgeTemplate judge_template,
                                        const JudgeRunOptions& options);

}  // namespace popalign
