#pragma once

#include <popalign/base/config.hpp>
#include <popalign/lm/text/chat_template.hpp>
#include <popalign/record/judgement.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace popalign::lm {

/// Prompt template that asks a model which of two answers is better, as data (configs/judges).
struct JudgeTemplate {
    /// A verdict that the judge may give.
    struct Label {
        std::string text, winner;
        std::int64_t games = 1;
        template <class Visitor>
        void visit(Visitor& v) {
            v.field("text", text, "what the judge says", Presence::required);
            v.field("winner", winner, "first, second or tie", Presence::required);
            v.field("games", games, "how many games it counts for");
        }
        Outcome outcome() const;
    };
    std::string name, source, system, user, assistant_prefix, verdict = "letters";
    std::vector<Label> labels;
    std::int64_t max_new_tokens = 1024;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("name", name, "what it is called", Presence::required);
        v.field("source", source, "where it comes from");
        v.field("system", system, "system message; empty: none");
        v.field("user", user, "holds {instruction}, {first} and, unless it rates, {second}",
                Presence::required);
        v.field("assistant_prefix", assistant_prefix, "given beginning of the verdict");
        v.field("verdict", verdict,
                "letters (the labels' probabilities as the next token), words (a label in what the "
                "judge writes) or rating (1 to 10 in what it writes)");
        v.field("labels", labels, "what the judge may say; two, first and second, for letters");
        v.field("max_new_tokens", max_new_tokens, "longest verdict in words");
    }
    /// Throws UsageError.
    void validate() const;
};

/// Loads a built-in template by name, or a YAML file (a name that ends in .yaml). Throws UsageError
/// or InputError.
JudgeTemplate load_judge_template(const std::string& name);
/// Returns the SHA-256 of the template as YAML.
std::string judge_template_sha256(const JudgeTemplate& judge_template);

/// Returns the dialogue before the verdict, with the marks ({instruction}, {first}, {second},
/// {reference}, and the same with _2 for a second turn) filled in. Marks inside the inserted texts
/// are not replaced.
std::vector<Message> judge_messages(const JudgeTemplate& judge_template, const JudgeQuery& query);

/// Returns the judgement that the judge's words express under this template.
Judgement judgement_of_words(const JudgeTemplate& judge_template, const std::string& words);

}  // namespace popalign::lm
