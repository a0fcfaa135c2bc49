#pragma once

#include <popalign/lm/answer_judge.hpp>
#include <popalign/lm/endpoint_client.hpp>

namespace popalign {

/// What a server's verdict says, by the probabilities of the labels where it gives them, else by
/// the one label that its words name; `parsed` is false where neither tells.
Verdict read_verdict(const ChatAnswer& answer, const JudgeTemplate::Labels& labels,
                     AnswerOrder order);

}  // namespace popalign
