#pragma once

#include "lm/backends/endpoint_client.hpp"

#include <popalign/lm/judge/answer_judge.hpp>

namespace popalign::lm {

/// What a server's answer says under a template of letters, by the letters' probabilities where it
/// gives them, else by its words; unparsed where neither tells.
Judgement read_judgement(const ChatAnswer& answer, const JudgeTemplate& judge_template);

}  // namespace popalign::lm
