#pragma once

#include <popalign/base/log.hpp>
#include <popalign/lm/backends/model_options.hpp>
#include <popalign/lm/checkpoint/model_identity.hpp>
#include <popalign/lm/engine/model_ranks.hpp>
#include <popalign/lm/judge/judge_template.hpp>
#include <popalign/record/judgement.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace popalign::lm {

/// Token use of a judge, counted by the server or the tokenizer.
struct JudgeUsage {
    std::uint64_t prompt_tokens = 0, answer_tokens = 0;
    double cost = 0;  ///< in the currency of the model's prices
};

/// Judge that says which of two answers is better, or rates the first alone. Judges have position
/// bias, so callers ask in both orders.
class AnswerJudge {
  public:
    virtual ~AnswerJudge() = default;
    /// Calls `done(index of the query, judgement)` once for each query, in no particular order.
    /// Drops unfinished queries when `keep_going` returns false.
    virtual JudgeUsage judge(std::span<const JudgeQuery> queries,
                             const std::function<void(std::size_t, Judgement)>& done,
                             const std::function<bool()>& keep_going = {}) = 0;
};

struct JudgeRunOptions {
    std::int64_t batch_tokens = 2048;  ///< rows of one forward pass
    std::string device = "auto";
    ModelRanks ranks = {};
    Logger logger;
    std::uint64_t seed = 0;
};

/// A judge by its name in the config: a model of `models`, which may be a reward model, or one of
/// the baselines `longest` and `random`.
struct JudgeSpec {
    std::string name;
    std::optional<ModelOptions> model;  ///< nothing for the baselines
    JudgeTemplate judge_template;
};

/// Returns whether the judge uses its template: false for the baselines and for reward models.
/// Throws InputError for a model that does not exist.
bool reads_template(const JudgeSpec& judge);

/// Returns the identity of the judge, without loading weights. Throws UsageError for a file of
/// ready answers and for a model without a chat template.
ModelIdentity identify_judge(const JudgeSpec& judge);

/// Returns the usage for all `queries`: the tokens of the prompts, and the maximum for the answers.
/// An estimate if no tokenizer is known.
JudgeUsage measure_queries(const JudgeSpec& judge, std::span<const JudgeQuery> queries);

/// Loads weights, or prepares the connection to a server. Throws UsageError if a local model has a
/// label that is not a single token after the template's prefix. Collective over the leaders of the
/// node.
std::unique_ptr<AnswerJudge> open_judge(const JudgeSpec& judge, const JudgeRunOptions& options);

}  // namespace popalign::lm
