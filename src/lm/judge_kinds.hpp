#pragma once

#include <popalign/lm/answer_judge.hpp>

#include <memory>

namespace popalign {

std::unique_ptr<AnswerJudge> open_local_judge(const ModelOptions& model,
                                              JudgeTemplate judge_template,
                                              const JudgeRunOptions& options);
std::unique_ptr<AnswerJudge> open_endpoint_judge(const EndpointOptions& endpoint,
                                                 JudgeTemplate judge_template,
                                                 const JudgeRunOptions& options);

/// The verdict of log-odds `ahead` [nat] that the answer shown first is better.
Verdict verdict_of(AnswerOrder order, double ahead);

}  // namespace popalign
