#include <popalign/base/embedded_text.hpp>
#include <popalign/base/error.hpp>
#include <popalign/base/hash.hpp>
#include <popalign/lm/judge/judge_template.hpp>
#include <popalign/lm/judge/verdict_text.hpp>

#include <fmt/format.h>

#include <array>

namespace popalign::lm {

std::span<const EmbeddedText> builtin_judges();

namespace {

/// Fills in the marks in one pass: answers may themselves contain one.
std::string fill(const std::string& text, const JudgeQuery& query) {
    const std::array<std::pair<std::string_view, const std::string*>, 8> marks{
        {{"{instruction}", &query.instruction},
         {"{first}", &query.first},
         {"{second}", &query.second},
         {"{reference}", &query.reference},
         {"{instruction_2}", &query.instruction_2},
         {"{first_2}", &query.first_2},
         {"{second_2}", &query.second_2},
         {"{reference_2}", &query.reference_2}}};
    std::string result;
    for (std::size_t position = 0; position < text.size();) {
        bool filled = false;
        for (const auto& [mark, value] : marks)
            if (text.compare(position, mark.size(), mark) == 0) {
                result += *value;
                position += mark.size();
                filled = true;
                break;
            }
        if (!filled)
            result += text[position++];
    }
    return result;
}

JudgeTemplate read(const ConfigNode& node) {
    JudgeTemplate judge_template;
    read_config(node, judge_template);
    judge_template.validate();
    return judge_template;
}

}  // namespace

Outcome JudgeTemplate::Label::outcome() const {
    if (winner == "first")
        return Outcome::first;
    return winner == "second" ? Outcome::second : Outcome::tie;
}

void JudgeTemplate::validate() const {
    const auto fail = [&](std::string_view problem) {
        throw UsageError(fmt::format("judge template '{}': {}", name, problem));
    };
    if (verdict != "letters" && verdict != "words" && verdict != "rating")
        fail(fmt::format("verdict '{}' is not letters, words or rating", verdict));
    if (max_new_tokens < 1)
        fail("max_new_tokens must be at least 1");
    for (const Label& label : labels)
        if ((label.winner != "first" && label.winner != "second" && label.winner != "tie") ||
            label.games < 1)
            fail("a label's winner is first, second or tie, and its games at least 1");
    if (verdict == "letters" &&
        (labels.size() != 2 || labels[0].winner != "first" || labels[1].winner != "second"))
        fail("letters want two labels, whose winners are first and second");
    if (verdict == "words" && labels.empty())
        fail("words want labels");
}

JudgeTemplate load_judge_template(const std::string& name) {
    if (name.ends_with(".yaml"))
        return read(load_config(name));
    std::string known;
    for (const auto& [builtin, text] : builtin_judges()) {
        known += fmt::format(" {}", builtin);
        if (builtin == name)
            return read(parse_config(std::string(text), name + ".yaml"));
    }
    throw UsageError(fmt::format(
        "the judge template '{}' is neither built in (known:{}) nor a .yaml file", name, known));
}

std::string judge_template_sha256(const JudgeTemplate& judge_template) {
    return sha256_hex(print_config(judge_template));
}

std::vector<Message> judge_messages(const JudgeTemplate& judge_template, const JudgeQuery& query) {
    std::vector<Message> messages;
    if (!judge_template.system.empty())
        messages.push_back({Role::system, judge_template.system});
    messages.push_back({Role::user, fill(judge_template.user, query)});
    return messages;
}

Judgement judgement_of_words(const JudgeTemplate& judge_template, const std::string& words) {
    Judgement judgement;
    judgement.raw = words;
    if (judge_template.verdict == "rating") {
        if (const auto rating = parse_rating(words)) {
            judgement.outcome = Outcome::first;
            judgement.rating = *rating;
        }
        return judgement;
    }
    std::vector<std::string> texts;
    for (const auto& label : judge_template.labels)
        texts.push_back(label.text);
    const ParsedVerdict verdict = parse_verdict(words, texts);
    if (verdict.kind == TextVerdict::abstained)
        judgement.outcome = Outcome::abstained;
    if (verdict.kind != TextVerdict::label)
        return judgement;
    const auto& label = judge_template.labels[verdict.label];
    judgement.outcome = label.outcome();
    judgement.games = label.games;
    judgement.probability = judgement.outcome == Outcome::first    ? 1
                            : judgement.outcome == Outcome::second ? 0
                                                                   : 0.5;
    return judgement;
}

}  // namespace popalign::lm
