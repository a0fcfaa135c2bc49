#include <popalign/record/judgement.hpp>

#include <cmath>
#include <limits>
#include <utility>

namespace popalign {

Showing show(const Instruction& instruction, std::string first, std::string second) {
    Showing showing{as_transcript(instruction), std::move(first), std::move(second)};
    if (!instruction.context.empty()) {
        showing.dialogue = instruction.context;
        showing.dialogue.push_back({Role::user, instruction.text});
    }
    return showing;
}

Showing turned(Showing showing) {
    std::swap(showing.first, showing.second);
    std::swap(showing.first_2, showing.second_2);
    std::swap(showing.first_cut, showing.second_cut);
    return showing;
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
