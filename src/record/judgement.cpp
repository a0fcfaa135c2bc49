#include <popalign/record/judgement.hpp>

#include <cmath>
#include <limits>
#include <utility>

namespace popalign {

JudgeQuery judge_query(const Instruction& instruction, std::string first, std::string second) {
    JudgeQuery query{as_transcript(instruction), std::move(first), std::move(second)};
    if (!instruction.context.empty()) {
        query.dialogue = instruction.context;
        query.dialogue.push_back({Role::user, instruction.text});
    }
    return query;
}

JudgeQuery swapped(JudgeQuery query) {
    std::swap(query.first, query.second);
    std::swap(query.first_2, query.second_2);
    std::swap(query.first_cut, query.second_cut);
    return query;
}

Judgement judgement_of(double log_odds) {
    Judgement judgement;
    judgement.probability = 1 / (1 + std::exp(-log_odds));
    judgement.outcome = log_odds > 0   ? Outcome::first
                        : log_odds < 0 ? Outcome::second
                                       : Outcome::tie;
    return judgement;
}

Verdict verdict_of(const Judgement& judgement, AnswerOrder order) {
    const bool chosen_first = order == AnswerOrder::chosen_first;
    Verdict verdict;
    verdict.order = order;
    verdict.probability = chosen_first ? judgement.probability : 1 - judgement.probability;
    verdict.raw = judgement.raw;
    verdict.parsed = judgement.outcome != Outcome::unparsed;
    if (judgement.outcome == Outcome::abstained)
        verdict.probability = std::numeric_limits<double>::quiet_NaN();
    switch (judgement.outcome) {
        case Outcome::first:
            verdict.label = chosen_first ? VerdictLabel::chosen : VerdictLabel::rejected;
            break;
        case Outcome::second:
            verdict.label = chosen_first ? VerdictLabel::rejected : VerdictLabel::chosen;
            break;
        default:
            verdict.label = VerdictLabel::tie;
    }
    return verdict;
}

}  // namespace popalign
