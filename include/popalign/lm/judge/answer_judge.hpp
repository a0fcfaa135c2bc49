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

/// What a judge has used, by the server's count or the tokenizer's.
struct JudgeUsage {
    std::uint64_t prompt_tokens = 0, answer_tokens = 0;
    double cost = 0;  ///< in the currency of the model's prices
};

/// Says which of two answers is better, the one shown first or the other, or rates the first alone.
/// A judge prefers places as well as answers, so whoever asks shows both orders.
class AnswerJudge {
  public:
    virtual ~AnswerJudge() = default;
    /// Calls `done(index of the query, judgement)` once for each, in no particular order; gives
    /// up the unfinished ones when `keep_going` says no.
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

/// A judge by its name in the config: one of `models`, which may be a reward model, or the
/// baselines `longest` and `random`.
struct JudgeSpec {
    std::string name;
    std::optional<ModelOptions> model;  ///< nothing for the baselines
    JudgeTemplate judge_template;
};

/// Whether the judge is asked in the words of its template: not the baselines, and not a reward
/// model, whose scores need none. Throws InputError for a model that is not there.
bool reads_template(const JudgeSpec& judge);

/// What the judge is, without loading weights. Throws UsageError for a file of ready answers and
/// for a model without a chat template.
ModelIdentity identify_judge(const JudgeSpec& judge);

/// What it would take to ask all of this: the prompts' tokens, and at most the answers'. An
/// estimate where no tokenizer is known.
JudgeUsage measure_queries(const JudgeSpec& judge, std::span<const JudgeQuery> queries);

/// Loads weights, or prepares to talk to a server. Throws UsageError if a label is not one token
/// for a local model behind the template's beginning. Collective over the leaders of the node.
std::unique_ptr<AnswerJudge> open_judge(const JudgeSpec& judge, const JudgeRunOptions& options);

}  // namespace popalign::lm
