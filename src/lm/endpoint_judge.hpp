#pragma once

#include <popalign/lm/answer_judge.hpp>
#include <popalign/lm/endpoint_client.hpp>

namespace popalign {

/// What a server's answer says under a template of letters, by the letters' probabilities where it
/// gives them, else by its words; unparsed where neither tells.
Judgement read_judgement(const ChatAnswer& answer, const JudgeTemplate& judge_template);

}  // namespace popalign
