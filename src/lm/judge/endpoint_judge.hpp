#pragma once

#include "lm/backends/endpoint_client.hpp"

#include <popalign/lm/judge/answer_judge.hpp>

namespace popalign::lm {

/// Returns the judgement of a server's answer under a template of letters: by the letters'
/// probabilities if the answer has them, else by its words; unparsed if neither gives one.
Judgement read_judgement(const ChatAnswer& answer, const JudgeTemplate& judge_template);

}  // namespace popalign::lm
