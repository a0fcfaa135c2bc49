#pragma once

#include <popalign/lm/backends/model_backend.hpp>
#include <popalign/lm/judge/answer_judge.hpp>

#include <memory>
#include <string>

namespace popalign::lm {

/// Opens a judge by the probabilities of the labels as the next token.
std::unique_ptr<AnswerJudge> open_local_judge(const ModelOptions& model,
                                              JudgeTemplate judge_template,
                                              const JudgeRunOptions& options);
std::unique_ptr<AnswerJudge> open_endpoint_judge(const EndpointOptions& endpoint,
                                                 JudgeTemplate judge_template,
                                                 const JudgeRunOptions& options);
/// Opens a judge by the verdict that the model writes; for any backend.
std::unique_ptr<AnswerJudge> open_words_judge(const JudgeSpec& judge,
                                              const JudgeRunOptions& options);
/// Opens a judge by the difference of a reward model's scores.
std::unique_ptr<AnswerJudge> open_reward_judge(const ModelOptions& model,
                                               const JudgeRunOptions& options);
/// Returns the number of tokens that a reward model reads for `queries`.
JudgeUsage measure_reward_queries(const ModelOptions& model, std::span<const JudgeQuery> queries);
/// Opens the baseline `longest` or `random`.
std::unique_ptr<AnswerJudge> open_baseline_judge(const std::string& name, std::uint64_t seed);

/// Returns the question that a model is asked for a query.
Question judge_question(const JudgeTemplate& judge_template, const JudgeQuery& query,
                        std::uint64_t seed);

double price(const EndpointOptions& endpoint, const JudgeUsage& usage);

}  // namespace popalign::lm
