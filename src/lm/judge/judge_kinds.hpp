#pragma once

#include <popalign/lm/backends/model_backend.hpp>
#include <popalign/lm/judge/answer_judge.hpp>

#include <memory>
#include <string>

namespace popalign::lm {

/// By the probabilities of the labels as the next token.
std::unique_ptr<AnswerJudge> open_local_judge(const ModelOptions& model,
                                              JudgeTemplate judge_template,
                                              const JudgeRunOptions& options);
std::unique_ptr<AnswerJudge> open_endpoint_judge(const EndpointOptions& endpoint,
                                                 JudgeTemplate judge_template,
                                                 const JudgeRunOptions& options);
/// By what it writes, wherever it is.
std::unique_ptr<AnswerJudge> open_words_judge(const JudgeSpec& judge,
                                              const JudgeRunOptions& options);
/// By the difference of a reward model's scores.
std::unique_ptr<AnswerJudge> open_reward_judge(const ModelOptions& model,
                                               const JudgeRunOptions& options);
/// The tokens that one would read of all of this.
JudgeUsage measure_reward_queries(const ModelOptions& model, std::span<const JudgeQuery> queries);
/// `longest` or `random`.
std::unique_ptr<AnswerJudge> open_baseline_judge(const std::string& name, std::uint64_t seed);

/// What a model is asked of a query.
Question judge_question(const JudgeTemplate& judge_template, const JudgeQuery& query,
                        std::uint64_t seed);

double price(const EndpointOptions& endpoint, const JudgeUsage& usage);

}  // namespace popalign::lm
